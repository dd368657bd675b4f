#include "keep/victim.h"

#include <stdio.h>

#define VICTIM_MORE 200
#define VICTIM_MOST 1000

void
victim_volunteer(void)
{
	FILE *file = fopen("/proc/self/oom_score_adj", "r+e");
	int score;

	if (file == NULL)
		return;
	if (fscanf(file, "%d", &score) == 1) {
		score = score + VICTIM_MORE < VICTIM_MOST ? score + VICTIM_MORE : VICTIM_MOST;
		rewind(file);
		fprintf(file, "%d", score);
	}
	fclose(file);
}
