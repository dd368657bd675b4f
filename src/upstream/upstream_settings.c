#include "upstream/upstream_settings.h"

void
upstream_context_set(struct upstream_context *context, const struct upstream_settings *settings)
{
	struct endpoints_settings *endpoints = &context->endpoints;
	struct pconn_settings *pconn = &context->pconn;
	enum probe_kind probe = settings->dial.probe.kind;

	context->settings = settings;
	*pconn = settings->pconn;
	if (settings->shared) {
		pconn->warm = 1;
	} else if (pconn->warm == UPSTREAM_WARM_AUTO) {
		/* A connection that says nothing keeps a server with one worker from all others, and one that shuts
		 * down from its end; MySQL counts it as broken off.  So one is kept only where something was said on
		 * it.  One that is not kept still proves that the server is there, but for MySQL, which would count
		 * that too. */
		pconn->warm = settings->hello.count > 0 || probe == PROBE_REDIS ? 1 : 0;
		pconn->eager = probe != PROBE_MYSQL;
		pconn->fades = true;
	}
	*endpoints = settings->endpoints;
	endpoints->retry = pconn->retry;
	if (endpoints->pick == ENDPOINTS_AUTO)
		endpoints->pick = context->record->random ? ENDPOINTS_RANDOM : ENDPOINTS_ORDERED;
}
