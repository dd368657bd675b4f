#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/loop.h"
#include "keep_side.h"

/* Instructions of all processes of one side_every_step(), about: single steps are slow. */
#define SIDE_STEPS  40000u

void
side_pair(int ret_fd[2])
{
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ret_fd), 0);
}

void
side_tcp_pair(int ret_fd[2])
{
	struct sockaddr_in name = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t length = sizeof name;
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(listener, (struct sockaddr *)&name, sizeof name), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&name, &length), 0);
	ret_fd[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(ret_fd[0], (struct sockaddr *)&name, sizeof name), 0);
	ret_fd[1] = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	assert_int_not_equal(ret_fd[1], -1);
	fcntl(ret_fd[0], F_SETFL, O_NONBLOCK);
	close(listener);
}

int
side_file(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	assert_int_not_equal(fd, -1);
	return fd;
}

bool
side_is_open(int fd)
{
	return fcntl(fd, F_GETFD) != -1;
}

int
side_listener(struct table *table)
{
	static unsigned count;
	struct table_service *service = &table->services[0];
	struct table_socket *own = &service->sockets[0];
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	for (unsigned i = 0; i < TABLE_LISTENERS; i++)
		service->sockets[i].fd = -1;
	own->bound.sun_family = AF_UNIX;
	own->length = (uint32_t)(offsetof(struct sockaddr_un, sun_path) + 1 +
	    (size_t)snprintf(own->bound.sun_path + 1, 64, "holdfast-test-%d-%u", (int)getpid(), count++));
	assert_int_equal(bind(fd, (struct sockaddr *)&own->bound, own->length), 0);
	assert_int_equal(listen(fd, 64), 0);
	strcpy(service->name, "cache");
	own->fd = fd;
	service->word = TABLE_LIVE;
	return fd;
}

int
side_connect(const struct table *table)
{
	const struct table_socket *own = &table->services[0].sockets[0];
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	assert_int_equal(connect(fd, (const struct sockaddr *)&own->bound, own->length), 0);
	return fd;
}

/* A record is of a service that there is. */
static void
side_service(struct table *table)
{
	if (table->services[0].word != 0)
		return;
	table->services[0].sockets[0].fd = -1;
	table->services[0].word = TABLE_LIVE;
}

uint32_t
side_client(struct table *table, int fd)
{
	uint32_t index = table_client_claim(table);

	side_service(table);
	assert_int_not_equal(index, 0);
	table->clients[index].fd = table_note_file(table, fd);
	table->clients[index].since = clock_now();
	table_client_set(table, index, TABLE_LIVE);
	return index;
}

uint32_t
side_conn(struct table *table, enum table_state state, int fd)
{
	uint32_t index = table_conn_claim(table);

	side_service(table);
	assert_int_not_equal(index, 0);
	table->conns[index].fd = table_note_file(table, fd);
	table->conns[index].since = clock_now();
	table_conn_set(table, index, state);
	return index;
}

uint32_t
side_session(struct table *table, int client_fd, int upstream_fd)
{
	uint32_t index = side_client(table, client_fd);

	if (upstream_fd == -1 && table->services[0].shared.framing == 0)
		table->services[0].shared.framing = 1; /* some framing */
	table_client_take(table, index,
	    upstream_fd == -1 ? TABLE_CONN_SHARED : side_conn(table, TABLE_READY, upstream_fd));
	return index;
}

void
side_clear(struct table *table)
{
	for (uint32_t i = 1; i < table->header->client_high; i++)
		table_client_free(table, i);
	for (uint32_t i = 1; i < table->header->conn_high; i++)
		table_conn_free(table, i);
	table_derive(table);
}

void
side_put(struct table *table, uint32_t session, enum table_direction direction, const char *text)
{
	uint32_t buffer = buffers_claim(table, side_payer, TABLE_BUFFER_SIZE);

	memcpy(buffers_bytes(table, buffer), text, strlen(text));
	table->buffers[buffer].tail = (uint32_t)strlen(text);
	table->clients[session].buffer[direction] = buffer;
}

void
side_say(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), (long)strlen(text));
}

const char *
side_hear(int fd)
{
	static char text[4096];
	ssize_t n = recv(fd, text, sizeof text - 1, MSG_DONTWAIT);

	if (n == -1)
		return errno == ECONNRESET ? "RESET" : "";
	text[n] = '\0';
	return n == 0 ? "EOF" : text;
}

uint8_t
side_byte(uint64_t seed, uint64_t offset)
{
	uint64_t x = (offset >> 3) + seed * UINT64_C(0x9e3779b97f4a7c15);

	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	return (uint8_t)((x ^ (x >> 31)) >> ((offset & 7) * 8));
}

size_t
side_write(int fd, uint64_t seed, uint64_t offset, uint64_t size)
{
	uint8_t bytes[16384];
	size_t piece = size < sizeof bytes ? (size_t)size : sizeof bytes;
	ssize_t n;

	for (size_t i = 0; i < piece; i++)
		bytes[i] = side_byte(seed, offset + i);
	n = send(fd, bytes, piece, MSG_DONTWAIT | MSG_NOSIGNAL);
	return n == -1 ? 0 : (size_t)n;
}

long
side_read(int fd, uint64_t seed, uint64_t offset, size_t size, unsigned *ret_wrong)
{
	uint8_t bytes[16384];
	ssize_t n = recv(fd, bytes, size < sizeof bytes ? size : sizeof bytes, MSG_DONTWAIT);

	if (n == -1)
		return errno == EAGAIN ? 0 : -1;
	for (ssize_t i = 0; i < n; i++)
		*ret_wrong += bytes[i] != side_byte(seed, offset + (uint64_t)i);
	return n == 0 ? -1 : n;
}

bool
side_run(struct event_base *loop, bool (*done)(void *arg), void *arg, int64_t limit)
{
	int64_t end = clock_now() + limit;
	struct timeval pause = { .tv_usec = 100 };

	while (!done(arg)) {
		if (clock_now() > end)
			return false;
		event_base_loopexit(loop, &pause); /* the condition may hang on more than the loop's events */
		event_base_loop(loop, EVLOOP_ONCE);
	}
	return true;
}

void
side_settle(struct event_base *loop)
{
	event_base_loop(loop, EVLOOP_NONBLOCK);
}

unsigned
side_turns(struct event_base *loop, int64_t span)
{
	int64_t end = clock_now() + span, left;
	unsigned turns = 0;

	while ((left = end - clock_now()) > 0) {
		event_base_loopexit(loop, &(struct timeval){ .tv_usec = (suseconds_t)left });
		event_base_loop(loop, EVLOOP_ONCE);
		turns++;
	}
	return turns;
}

bool
side_await(const volatile uint32_t *word, uint32_t value, int64_t limit)
{
	int64_t end = clock_now() + limit;

	while (*word < value) {
		if (clock_now() > end)
			return false;
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	}
	return true;
}

/* The process that acts: stops before, and tells by *inside while it does.  It shares our open files, as a
 * worker does with its keeper. */
static pid_t
side_begin(void (*act)(void *arg), void *arg, volatile int *inside)
{
	pid_t pid = (pid_t)syscall(SYS_clone, CLONE_FILES | SIGCHLD, NULL, NULL, NULL, NULL);
	int status;

	if (pid == 0) {
		if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) == -1)
			_exit(1);
		kill(getpid(), SIGSTOP);
		*inside = 1;
		act(arg);
		*inside = 2;
		_exit(0);
	}
	waitpid(pid, &status, 0);
	return WIFSTOPPED(status) ? pid : -1;
}

/* One instruction on, or up to the begin or the end of a system call; false at the process's end. */
static bool
side_step(pid_t pid, enum __ptrace_request step)
{
	int status;

	return ptrace(step, pid, NULL, NULL) == 0 && waitpid(pid, &status, 0) == pid && WIFSTOPPED(status);
}

/* One death. */
struct side_death {
	enum __ptrace_request step;
	unsigned count;        /* of steps to go into act() at most */
	unsigned taken;        /* out */
	bool finished;         /* out: came to the end before */
	volatile int *inside;  /* shared with the process: 1 while it acts */
};

static void
side_die(struct side_death *death, void (*act)(void *arg), void *arg)
{
	pid_t pid;
	int status;

	*death->inside = 0;
	death->taken = 0;
	pid = side_begin(act, arg, death->inside);
	assert_int_not_equal(pid, -1);
	while (*death->inside == 0 && side_step(pid, PTRACE_SINGLESTEP))
		;
	while (*death->inside == 1 && death->taken < death->count && side_step(pid, death->step))
		death->taken++;
	death->finished = *death->inside == 2;
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
}

static bool
side_can_trace(void)
{
	pid_t pid = fork();
	int status;

	if (pid == 0)
		_exit(ptrace(PTRACE_TRACEME, 0, NULL, NULL) == -1);
	return waitpid(pid, &status, 0) == pid && status == 0;
}

/* Who steps and who is stepped take turns: on one processor that costs a third less. */
static void
side_stay(cpu_set_t *ret_before)
{
	cpu_set_t here;

	CPU_ZERO(&here);
	CPU_SET((size_t)sched_getcpu(), &here);
	sched_getaffinity(0, sizeof *ret_before, ret_before);
	sched_setaffinity(0, sizeof here, &here);
}

static void
side_all_deaths(struct side_death *death, unsigned stride, void (*prepare)(void *arg), void (*act)(void *arg),
    void (*check)(void *arg, bool finished), void *arg)
{
	unsigned growth = death->step == PTRACE_SYSCALL ? 16 : UINT32_MAX;

	death->finished = false;
	/* Sparser towards the end: a long row of calls is a sweep, and each like the one before. */
	for (death->count = 0; !death->finished; death->count += stride + death->count / growth) {
		prepare(arg);
		side_die(death, act, arg);
		check(arg, death->finished);
	}
}

bool
side_every_step(void (*prepare)(void *arg), void (*act)(void *arg), void (*check)(void *arg, bool finished),
    void *arg)
{
	struct side_death death = { .step = PTRACE_SINGLESTEP, .count = SIDE_STEPS };
	cpu_set_t before;

	if (!side_can_trace())
		return false;
	side_stay(&before);
	death.inside = mmap(NULL, sizeof *death.inside, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	prepare(arg);
	side_die(&death, act, arg);
	check(arg, death.finished);
	/* A stride of total^2 / 2N makes about N steps of it. */
	side_all_deaths(&death, SIDE_STRIDE * (unsigned)((uint64_t)death.taken * death.taken / (2 * SIDE_STEPS) + 1),
	    prepare, act, check, arg);
	death.step = PTRACE_SYSCALL;
	side_all_deaths(&death, 1, prepare, act, check, arg);
	munmap((void *)(uintptr_t)death.inside, sizeof *death.inside);
	sched_setaffinity(0, sizeof before, &before);
	return true;
}
