/* commands_metrics.h - the numbers of all services and of the daemon, as they are now. */
#ifndef HOLDFAST_DAEMON_COMMANDS_METRICS_H
#define HOLDFAST_DAEMON_COMMANDS_METRICS_H

#include "control/metrics.h"
#include "daemon/command.h"

/* A snapshot, to be freed with metrics_free(). */
struct metrics *commands_take_metrics(const struct command_context *context, enum metrics_format format);

commands_run commands_metrics;

#endif
