/* What the tests of "holdfastctl top" share: samples of what a status tells. */
#ifndef TESTS_UNIT_TOP_STAGE_H
#define TESTS_UNIT_TOP_STAGE_H

#include "ctl/top_state.h"
#include "status_stage.h"

/* A sample of these services (taken over), one second after the one before. */
static inline struct sample *
take(const struct sample *before, json_t *services)
{
	return sample_new(json_pack("{s:i, s:i, s:s, s:s, s:o}", "pid", 812, "worker_restarts", 0, "version", "0.1.0",
	    "started", ago(7380), "services", services),
	    before == NULL ? CLOCK_SECOND : before->at + CLOCK_SECOND, before);
}

#endif
