#include "upstream/dial.h"

#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/loop.h"
#include "base/mem.h"

/* A Unix socket whose backlog is full has nothing to wait for: it is asked again so often. */
#define DIAL_RETRY (10 * CLOCK_MILLISECOND)

#define DIAL_DOUBT 2 /* questions about a closed window without an answer */

/* RFC 793's states by the kernel's numbers; <netinet/tcp.h>, which has them, lacks half of struct tcp_info and
 * cannot be had together with <linux/tcp.h>. */
enum { DIAL_SYN_SENT = 2, DIAL_SYN_RECV = 3, DIAL_CLOSE = 7 };

struct dial {
	int fd;                 /* borrowed */
	struct address address;
	dial_callback *callback;
	void *arg;              /* borrowed */
	int64_t deadline;
	int error;              /* when ended */
	bool ended;             /* by connect() itself: to be reported through the loop */
	struct event *event;    /* borrowed; connected or failed */
	struct loop_timer timer; /* time-out, retry, or that report */
};

int
dial_socket(const struct address *address)
{
	int fd;

	if (address->kind != ADDRESS_SOCKET)
		return -EINVAL;
	fd = socket(address->socket.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	return fd == -1 ? -errno : fd;
}

/* IPv4 and IPv6 have it at the same place. */
static in_port_t
dial_port(const struct sockaddr_storage *socket)
{
	return ((const struct sockaddr_in *)(const void *)socket)->sin_port;
}

/* A connect to a port of this host that nobody listens at may by chance be given that very port as its own, and then
 * meets itself (TCP's simultaneous open, RFC 9293, 3.5). */
static bool
dial_met_itself(const struct dial *dial)
{
	struct address own = dial->address, other = dial->address;

	if (own.socket.ss_family == AF_UNIX)
		return false;
	own.socket_length = other.socket_length = sizeof own.socket;
	if (getsockname(dial->fd, (struct sockaddr *)&own.socket, &own.socket_length) == -1 ||
	    dial_port(&own.socket) != dial_port(&dial->address.socket))
		return false;
	/* What was dialled may have been the address of any host (0.0.0.0). */
	return getpeername(dial->fd, (struct sockaddr *)&other.socket, &other.socket_length) == 0 &&
	    address_equal(&own, &other);
}

static void
dial_finish(struct dial *dial, int error)
{
	dial_callback *callback = dial->callback;
	void *arg = dial->arg;

	if (error == 0 && dial_met_itself(dial))
		error = ECONNREFUSED;
	if (error != 0)
		loop_event_stop(dial->event);
	loop_timer_stop(&dial->timer);
	mem_free(dial);
	callback(arg, error);
}

/* What connect() itself said is reported through the loop. */
static void
dial_end(struct dial *dial, int error)
{
	dial->ended = true;
	dial->error = error;
	loop_timer_soon(&dial->timer);
}

static void
dial_connect(struct dial *dial)
{
	int64_t retry;
	int error = address_find_interface(&dial->address);

	if (error < 0) {
		dial_end(dial, -error);
		return;
	}
	if (connect(dial->fd, (const struct sockaddr *)&dial->address.socket, dial->address.socket_length) == 0 ||
	    errno == EISCONN) {
		dial_end(dial, 0);
	} else if (errno == EINPROGRESS || errno == EALREADY || errno == EINTR) {
		event_add(dial->event, NULL);
		loop_timer_at(&dial->timer, dial->deadline);
	} else if (errno == EAGAIN && dial->address.socket.ss_family == AF_UNIX) {
		retry = clock_after(clock_now(), DIAL_RETRY);
		loop_timer_at(&dial->timer, retry < dial->deadline ? retry : dial->deadline);
	} else {
		dial_end(dial, errno);
	}
}

/* Writable alone is connected; with readable it may have failed, since libevent reports EPOLLERR and EPOLLHUP as
 * both, or the other end has already spoken. */
static void
dial_on_event(evutil_socket_t fd, short what, void *arg)
{
	int error = 0;
	socklen_t length = sizeof error;

	if ((what & EV_READ) != 0 && getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) == -1)
		error = errno;
	dial_finish(arg, error);
}

static void
dial_on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct dial *dial = arg;

	(void)fd;
	(void)what;
	if (dial->ended)
		dial_finish(dial, dial->error);
	else if (clock_now() >= dial->deadline)
		dial_finish(dial, ETIMEDOUT);
	else if (dial->address.socket.ss_family == AF_UNIX)
		dial_connect(dial);
	else
		loop_timer_at(&dial->timer, dial->deadline);
}

struct dial *
dial_start(struct event_base *loop, int fd, const struct address *address, const struct dial_settings *settings,
    struct event *event, dial_callback *callback, void *arg)
{
	struct dial *dial = mem_new(1, sizeof *dial);

	dial->fd = fd;
	dial->address = *address;
	dial->event = event;
	dial->callback = callback;
	dial->arg = arg;
	dial->deadline = clock_after(clock_now(), settings->connect_timeout);
	event_assign(event, loop, fd, EV_READ | EV_WRITE | EV_PERSIST, dial_on_event, dial);
	loop_timer_init(&dial->timer, loop, dial_on_timer, dial);
	dial_connect(dial);
	return dial;
}

void
dial_cancel(struct dial *dial)
{
	if (dial == NULL)
		return;
	loop_event_stop(dial->event);
	loop_timer_stop(&dial->timer);
	mem_free(dial);
}

/* B6.  A connection that ever was has its SYN acknowledged, which tcpi_bytes_acked counts; segments received do
 * not tell, for a refused connect has received one. */
static int
dial_examine_tcp(int fd)
{
	struct tcp_info info;
	socklen_t length = sizeof info;

	memset(&info, 0, sizeof info);
	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length) == -1)
		return -1;
	switch (info.tcpi_state) {
	case DIAL_SYN_SENT:
	case DIAL_SYN_RECV:
		return 0;
	case DIAL_CLOSE:
		return info.tcpi_bytes_acked == 0 && info.tcpi_bytes_received == 0 && info.tcpi_bytes_sent == 0 ?
		    -1 : 1;
	default:
		return 1;
	}
}

int
dial_examine(int fd)
{
	struct sockaddr_storage peer;
	socklen_t length = sizeof peer;
	int domain;

	if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &(socklen_t){ sizeof domain }) == -1)
		return -1;
	if (domain != AF_UNIX)
		return dial_examine_tcp(fd);
	return getpeername(fd, (struct sockaddr *)&peer, &length) == 0 ? 1 : -1;
}

void
dial_tune(int fd, const struct dial_settings *settings)
{
	int domain, on = 1;
	unsigned user_timeout = (unsigned)settings->user_timeout;

	if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &(socklen_t){ sizeof domain }) == -1 || domain == AF_UNIX)
		return;
	if (settings->user_timeout > 0)
		setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &user_timeout, sizeof user_timeout);
	if (settings->keepalive_idle <= 0)
		return;
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &settings->keepalive_idle, sizeof(int));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &settings->keepalive_interval, sizeof(int));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &settings->keepalive_count, sizeof(int));
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
}

/* The kernel asks a closed window about itself at growing distances, at last every two minutes, and counts the
 * questions that have no answer yet: two of them are no mere delay. */
bool
dial_heed(int fd, const struct dial_settings *settings, bool patient)
{
	struct tcp_info info;
	socklen_t length = sizeof info;
	unsigned user_timeout;
	bool closed;

	memset(&info, 0, sizeof info);
	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length) == -1)
		return false;
	closed = info.tcpi_unacked == 0 && info.tcpi_notsent_bytes > 0 && info.tcpi_probes < DIAL_DOUBT;
	if (closed == patient)
		return patient;
	user_timeout = closed ? 0 : (unsigned)settings->user_timeout;
	setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &user_timeout, sizeof user_timeout);
	return closed;
}

void
dial_hasten(int fd)
{
	int on = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); /* a Unix socket refuses it, and has no delay */
}
