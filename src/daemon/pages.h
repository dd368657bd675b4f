/* pages.h - what is seen by HTTP at metrics.listen: metrics, status, whether services are up.
 *
 *   /metrics                  OpenMetrics or Prometheus's text
 *   /status.json              what "status" answers
 *   /service/NAME.json        what "explain" answers
 *   /healthz                  200 while the daemon serves
 *   /readyz, ?service=NAME    200 if all services are up, or this one
 *
 * Long answers are made in bits (control/http.h).
 */
#ifndef HOLDFAST_DAEMON_PAGES_H
#define HOLDFAST_DAEMON_PAGES_H

#include "control/http.h"
#include "daemon/command.h"

/* For http_new(); arg is the struct command_context. */
void pages_answer(void *arg, const struct http_asked *asked, struct http_answer *ret_answer);

#endif
