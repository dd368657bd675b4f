#include "keep/deaths.h"

#include <signal.h>
#include <sys/wait.h>

#include "base/clock.h"

#define DEATHS_YOUNG        CLOCK_SECOND
#define DEATHS_STRIKES      3
#define DEATHS_STRIKE_SPAN  (10 * CLOCK_SECOND)
#define DEATHS_GIVE_UP      20 /* doubts after which the table is given up */
#define DEATHS_SERVED       1  /* doubts: a young one had served, */
#define DEATHS_UNREADY      4  /* had not, */
#define DEATHS_UNREADY_HUNG 10 /* hung before it did, which has taken long */

/* Milliseconds before the next start, by the number of young deaths in a row. */
static const int64_t deaths_delays[] = { 0, 0, 10, 50, 200, 1000, 5000 };

#define DEATHS_DELAYS (sizeof deaths_delays / sizeof deaths_delays[0])

const int deaths_own_making[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGSYS, 0 };

bool
deaths_is_own_making(const struct table *table, const struct table_death *death)
{
	if (table->header->outside)
		return false;
	if (death->hung || WIFEXITED(death->status))
		return true;
	for (size_t i = 0; deaths_own_making[i] != 0; i++)
		if (WTERMSIG(death->status) == deaths_own_making[i])
			return true;
	return false;
}

/* The word of the record that was being handled; NULL: there is none. */
static volatile uint32_t *
deaths_find_handled(const struct table *table, uint32_t handled)
{
	uint32_t index = handled & ~TABLE_HANDLING_CONN;

	if (index == 0 || index >= table->shape.files)
		return NULL;
	return handled & TABLE_HANDLING_CONN ? &table->conns[index].word : &table->clients[index].word;
}

static void
deaths_blame(struct table *table, struct table_death *death)
{
	struct table_header *header = table->header;
	volatile uint32_t *word = deaths_find_handled(table, death->handled);
	unsigned strikes = 0;

	if (word == NULL)
		return;
	death->generation = TABLE_GENERATION(*word);
	header->blamed[header->blamed_next++ % TABLE_BLAMED] = *death;
	for (int i = 0; i < TABLE_BLAMED; i++)
		if (header->blamed[i].handled == death->handled &&
		    header->blamed[i].generation == death->generation &&
		    death->at - header->blamed[i].at <= DEATHS_STRIKE_SPAN)
			strikes++;
	if (strikes < DEATHS_STRIKES || TABLE_STATE(*word) == TABLE_FREE)
		return;
	death->condemned = 1;
	*word = (*word & ~0xffu) | TABLE_CLOSING;
}

/* One that exits has found something wrong that is not in the table. */
static void
deaths_doubt(struct deaths *deaths, struct table *table, const struct table_death *death, bool young)
{
	bool ready = table->header->ready;

	if (death->hung && !ready)
		deaths->doubts += DEATHS_UNREADY_HUNG;
	else if (!young)
		deaths->doubts = 0;
	else if (WIFSIGNALED(death->status) && !death->hung)
		deaths->doubts += ready ? DEATHS_SERVED : DEATHS_UNREADY;
	if (deaths->doubts < DEATHS_GIVE_UP)
		return;
	deaths->doubts = 0;
	table->header->damage.give_up = 1;
}

int64_t
deaths_note(struct deaths *deaths, struct table *table, struct table_death *death, int64_t born)
{
	bool young = death->at - born < DEATHS_YOUNG;

	death->handled = table->header->handling;
	deaths_blame(table, death);
	deaths_doubt(deaths, table, death, young);
	deaths->failures = young ? deaths->failures + 1 : 0;
	if (deaths->failures >= DEATHS_DELAYS)
		deaths->failures = DEATHS_DELAYS - 1;
	return deaths_delays[deaths->failures] * CLOCK_MILLISECOND;
}
