#include "client/mux_judge.h"

#include <stdio.h>
#include <string.h>

#include "client/label.h"

_Static_assert(TABLE_LABEL_TEXT + 16 < RESP_ANSWER_SIZE, "a name fits into an answer");

/* Whom the connection knows by another name, or none, is told its own; one without is not known better here. */
static enum framing_verdict
judge_name(const struct mux_judge_of *of, struct resp_judgement *judgement)
{
	const char *name = label_name(of->table, of->client);

	if (name[0] == '\0')
		return FRAMING_FORWARD;
	judgement->length = (size_t)snprintf(judgement->answer, sizeof judgement->answer, "$%zu\r\n%s\r\n",
	    strlen(name), name);
	return FRAMING_ANSWER;
}

void
mux_judge(const struct mux_judge_of *of, const unsigned char *request, size_t length, struct mux_judged *ret_judged)
{
	struct resp_judgement *resp = &ret_judged->resp;

	ret_judged->length = length;
	ret_judged->memcache.silence = 0;
	resp->protocol = ret_judged->spoken = of->table->clients[of->client].flags & TABLE_CLIENT_RESP3 ? 3 : 2;
	if (of->settings->framing == FRAMING_RESP) {
		ret_judged->verdict = resp_judge(request, length, of->resp, of->settings->on_state, resp);
		if (ret_judged->verdict == FRAMING_FORWARD && resp->asks_name)
			ret_judged->verdict = judge_name(of, resp);
		ret_judged->answer = resp->answer;
		ret_judged->answer_length = resp->length;
		return;
	}
	resp->instead = NULL;
	resp->no_order = false;
	resp->label.kind = RESP_LABEL_NONE;
	ret_judged->verdict = FRAMING_FORWARD;
	if (of->settings->framing != FRAMING_MEMCACHE)
		return;
	ret_judged->verdict = memcache_judge(request, length, &ret_judged->memcache);
	ret_judged->answer = ret_judged->memcache.answer;
	ret_judged->answer_length = ret_judged->memcache.length;
}

size_t
mux_judged_length(const struct mux_judged *judged)
{
	return judged->resp.instead != NULL ? strlen(judged->resp.instead) :
	    judged->length - judged->memcache.cut_length;
}

void
mux_judged_write(const struct mux_judged *judged, const unsigned char *request, unsigned char *room)
{
	size_t cut = judged->memcache.cut, behind = cut + judged->memcache.cut_length;

	if (judged->resp.instead != NULL) {
		memcpy(room, judged->resp.instead, strlen(judged->resp.instead));
		return;
	}
	memcpy(room, request, cut);
	memcpy(room + cut, request + behind, judged->length - behind);
}

struct mux_queue_change
mux_judged_change(const struct mux_judged *judged)
{
	return (struct mux_queue_change){ .flip = judged->resp.protocol != judged->spoken ? TABLE_CLIENT_RESP3 : 0,
		.label = judged->resp.label.kind != RESP_LABEL_NONE ? &judged->resp.label : NULL,
		.silence = judged->memcache.silence };
}
