/* ask_figures.c - how long answers took. */
#include "ask.h"

#include <inttypes.h>
#include <stdio.h>

#define LONGEST 200000 /* microseconds that are told apart */
#define OVER    100000

static struct {
	uint64_t histogram[LONGEST + 1];
	uint64_t count, over;
	int64_t worst, pause;
	int64_t last;            /* answer */
	int64_t gap[ASK_MARKS];  /* longest time without any right answer, by mark */
	int64_t slow[ASK_MARKS]; /* slowest answer */
	unsigned marks;
} figures;

void figures_mark(void)
{
	if (figures.marks + 1 < ASK_MARKS)
		figures.marks++;
}

static void greater(int64_t *most, int64_t value)
{
	if (value > *most)
		*most = value;
}

void figures_right(int64_t took)
{
	figures.count++;
	figures.over += took > OVER;
	figures.histogram[took > LONGEST ? LONGEST : took < 0 ? 0 : took]++;
	greater(&figures.worst, took);
	greater(&figures.slow[figures.marks], took);
	if (figures.last != 0)
		greater(&figures.gap[figures.marks], ask.now - figures.last);
	figures.last = ask.now;
}

void figures_pass(int64_t took)
{
	greater(&figures.pause, took);
}

static double percentile(unsigned percent)
{
	uint64_t wanted = figures.count * percent / 100, passed = 0;

	for (int took = 0; took <= LONGEST; took++) {
		passed += figures.histogram[took];
		if (passed > wanted)
			return took / 1e3;
	}
	return 0;
}

static void marks_print(const char *name, const int64_t *values)
{
	printf(", \"%s\": [", name);
	for (unsigned i = 1; i <= figures.marks; i++)
		printf("%s%.3f", i > 1 ? ", " : "", (double)values[i] / 1e3);
	printf("]");
}

void figures_print(void)
{
	printf(", \"max_ms\": %.3f, \"p50_ms\": %.3f, \"p99_ms\": %.3f, \"over_100ms\": %" PRIu64,
	    (double)figures.worst / 1e3, percentile(50), percentile(99), figures.over);
	printf(", \"own_pause_ms\": %.3f", (double)figures.pause / 1e3);
	marks_print("gaps_ms", figures.gap);
	marks_print("slowest_ms", figures.slow);
}
