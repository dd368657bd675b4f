#include "upstream/upstream_settings.h"

struct pconn_settings
upstream_settings_pconn(const struct upstream_settings *settings)
{
	struct pconn_settings pconn = settings->pconn;
	enum probe_kind probe = settings->dial.probe.kind;

	if (settings->shared) {
		pconn.warm = 1;
	} else if (pconn.warm == UPSTREAM_WARM_AUTO) {
		/* A connection that says nothing keeps a server with one worker from all others, and one that shuts
		 * down from its end; MySQL counts it as broken off.  So one is kept only where something was said on
		 * it.  One that is not kept still proves that the server is there, but for MySQL, which would count
		 * that too. */
		pconn.warm = settings->hello.count > 0 || probe == PROBE_REDIS ? 1 : 0;
		pconn.eager = probe != PROBE_MYSQL;
		pconn.fades = true;
	}
	return pconn;
}

struct endpoints_settings
upstream_settings_endpoints(const struct upstream_settings *settings, bool random)
{
	struct endpoints_settings endpoints = settings->endpoints;

	endpoints.delay = settings->pconn.delay;
	endpoints.max = settings->pconn.max;
	endpoints.jitter = settings->pconn.jitter;
	endpoints.factor = settings->pconn.factor;
	if (endpoints.pick == ENDPOINTS_AUTO)
		endpoints.pick = random ? ENDPOINTS_RANDOM : ENDPOINTS_ORDERED;
	return endpoints;
}
