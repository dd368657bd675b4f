/* faults - a library to be preloaded that makes the Nth call of a function fail, as the kernel could.
 *
 * HOLDFAST_FAULTS names a file that all processes map and that who tests writes to (tests/integration/faults.py): in
 * which processes which function fails, from which call on, how often, and with what error.  Calls are counted there
 * for each kind of process, over all that come and go.  Not for programs with sanitizers, which allocate otherwise.
 */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <link.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define FAULTS_FRAMES 24
#define FAULTS_NAME   20

/* What can fail.  Several C functions may stand behind one name. */
#define FAULTS_FUNCTIONS(X) \
	X(malloc) X(calloc) X(realloc) X(mmap) X(socket) X(socketpair) X(accept4) X(connect) X(bind) X(listen) \
	X(shutdown) X(getsockopt) X(setsockopt) X(getsockname) X(getpeername) X(splice) X(recv) X(recvfrom) \
	X(recvmsg) X(recvmmsg) X(send) X(sendto) X(sendmsg) X(sendmmsg) X(read) X(readv) X(pread) X(write) X(writev) \
	X(pwrite) X(pwritev2) X(pipe2) X(epoll_create1) X(epoll_ctl) X(epoll_wait) X(eventfd) X(timerfd_create) \
	X(timerfd_settime) X(open) X(openat) X(fopen) X(fdopen) X(opendir) X(fdopendir) X(scandir) X(fcntl) X(ioctl) \
	X(dup2) X(fork) X(vfork) X(clone) X(pidfd_open) X(pthread_create) X(execve) X(fexecve) X(waitpid) X(waitid) \
	X(memfd_create) X(ftruncate) X(fsync) X(fdatasync) X(flock) X(fstat) X(stat) X(lstat) X(fstatat) X(statx) \
	X(access) X(faccessat) X(chmod) X(lchown) X(mkdir) X(rename) X(renameat) X(unlink) X(unlinkat) X(readlink) \
	X(realpath) X(inotify_init1) X(inotify_add_watch) X(getrandom) X(poll) X(sigtimedwait) X(setpgid) X(chdir) \
	X(getrlimit) X(setrlimit)

enum faults_function {
#define X(name) FAULTS_##name,
	FAULTS_FUNCTIONS(X)
#undef X
	FAULTS_COUNT
};

enum faults_process {
	FAULTS_KEEPER, /* the program as it was executed: holdfastd's keeper */
	FAULTS_WORKER, /* cloned by it, with its file descriptors */
	FAULTS_CHILD,  /* forked by either, until it executes something */
	FAULTS_TLS,    /* holdfast-tls */
	FAULTS_PROCESSES
};

/* The file.  Who tests writes what is armed, the last one being times, and reads the rest. */
struct faults {
	uint32_t times;     /* so many calls in a row fail; 0: none */
	uint32_t processes; /* a bit for each kind */
	uint32_t function;
	uint32_t first;     /* of those that fail, from 1 on, counted since it was armed */
	uint32_t error;
	uint32_t passed;    /* calls that could have been meant since it was armed */
	uint32_t fired;
	uint32_t frames;    /* callers of the first that failed, and where their program was loaded, for addr2line */
	uint32_t functions; /* all of them */
	uint64_t base;
	uint64_t frame[FAULTS_FRAMES]; /* and who had called */
	uint32_t calls[FAULTS_PROCESSES][FAULTS_COUNT];
	char name[FAULTS_COUNT][FAULTS_NAME]; /* ends the file but for unused room */
};

static struct faults *faults_shared;
static enum faults_process faults_kind;
static pid_t faults_pid; /* who is of that kind; another pid is a child that shares our memory */
static uintptr_t faults_base;
static __thread bool faults_busy;

static int
faults_find_base(struct dl_phdr_info *info, size_t size, void *arg)
{
	(void)size;
	(void)arg;
	faults_base = info->dlpi_addr;
	return 1; /* the first is the program */
}

static void __attribute__((constructor))
faults_start(void)
{
	static const char *const names[] = {
#define X(name) #name,
		FAULTS_FUNCTIONS(X)
#undef X
	};
	const char *path = getenv("HOLDFAST_FAULTS"), *name = program_invocation_short_name;
	void *frames[2];
	struct faults *shared;
	int fd = -1;

	if (path != NULL && strncmp(name, "holdfast", 8) == 0) /* not a shell that executes it */
		fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC);
	if (fd == -1)
		return;
	shared = (struct faults *)syscall(SYS_mmap, NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	syscall(SYS_close, fd);
	if (shared == MAP_FAILED)
		return;
	for (int i = 0; i < FAULTS_COUNT; i++)
		strncpy(shared->name[i], names[i], FAULTS_NAME - 1);
	shared->functions = FAULTS_COUNT;
	dl_iterate_phdr(faults_find_base, NULL);
	backtrace(frames, 2); /* the first time it allocates */
	faults_pid = getpid();
	faults_kind = strcmp(name, "holdfast-tls") == 0 ? FAULTS_TLS : FAULTS_KEEPER;
	faults_shared = shared;
}

static void
faults_note_caller(void)
{
	void *frames[FAULTS_FRAMES];
	int count;

	faults_busy = true;
	count = backtrace(frames, FAULTS_FRAMES);
	faults_busy = false;
	for (int i = 0; i < count; i++)
		faults_shared->frame[i] = (uintptr_t)frames[i];
	faults_shared->base = faults_base;
	faults_shared->frames = (uint32_t)count;
}

/* Counts a call; whether it fails, with errno set. */
static bool
faults_hit(enum faults_function function)
{
	struct faults *shared = faults_shared;
	enum faults_process kind;
	uint32_t times, number;

	if (shared == NULL || faults_busy)
		return false;
	kind = faults_kind != FAULTS_TLS && (pid_t)syscall(SYS_getpid) != faults_pid ? FAULTS_CHILD : faults_kind;
	__atomic_fetch_add(&shared->calls[kind][function], 1, __ATOMIC_RELAXED);
	times = __atomic_load_n(&shared->times, __ATOMIC_ACQUIRE);
	if (times == 0 || shared->function != (uint32_t)function || !(shared->processes & (1u << kind)))
		return false;
	number = __atomic_add_fetch(&shared->passed, 1, __ATOMIC_RELAXED);
	if (number < shared->first || number - shared->first >= times)
		return false;
	if (__atomic_fetch_add(&shared->fired, 1, __ATOMIC_RELAXED) == 0)
		faults_note_caller();
	errno = (int)shared->error;
	return true;
}

/* What tells of an end of the connection: the other side sees it too. */
static void
faults_end(int fd)
{
	int error = errno;

	if (error == ECONNRESET || error == EPIPE || error == ENOTCONN)
		syscall(SYS_shutdown, fd, SHUT_RDWR);
	errno = error;
}

static void *
faults_next(const char *name)
{
	bool busy = faults_busy;
	void *next;

	faults_busy = true;
	next = dlsym(RTLD_NEXT, name);
	faults_busy = busy;
	if (next == NULL)
		abort();
	return next;
}

/* One that counts events, as an eventfd, takes them always. */
static bool
faults_is_counter(int fd)
{
	char path[32], name[64] = "";

	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	return syscall(SYS_readlink, path, name, sizeof name - 1) > 0 && strstr(name, "[eventfd]") != NULL;
}

/* The function that is meant, of type __typeof__(type). */
#define NEXT(name) ({ \
	static __typeof__(&name) next; \
	if (next == NULL) \
		next = (__typeof__(&name))faults_next(#name); \
	next; })

#define WRAP(what, failed, type, name, parameters, arguments) \
	type name parameters; \
	type name parameters { return faults_hit(FAULTS_##what) ? (failed) : NEXT(name) arguments; }

/* The same of what speaks on a socket. */
#define WRAP_SOCKET(what, type, name, parameters, arguments) \
	type name parameters; \
	type name parameters \
	{ \
		if (faults_hit(FAULTS_##what)) { \
			faults_end(fd); \
			return -1; \
		} \
		return NEXT(name) arguments; \
	}

#define WRAP_COUNTER(what, type, name, parameters, arguments) \
	type name parameters; \
	type name parameters \
	{ \
		return !faults_is_counter(fd) && faults_hit(FAULTS_##what) ? -1 : NEXT(name) arguments; \
	}

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *old, size_t size);

void *malloc(size_t size) { return faults_hit(FAULTS_malloc) ? NULL : __libc_malloc(size); }
void *calloc(size_t count, size_t size) { return faults_hit(FAULTS_calloc) ? NULL : __libc_calloc(count, size); }
void *realloc(void *old, size_t size) { return faults_hit(FAULTS_realloc) ? NULL : __libc_realloc(old, size); }

WRAP(mmap, MAP_FAILED, void *, mmap, (void *at, size_t n, int prot, int flags, int fd, off_t offset),
    (at, n, prot, flags, fd, offset))
WRAP(mmap, MAP_FAILED, void *, mmap64, (void *at, size_t n, int prot, int flags, int fd, off64_t offset),
    (at, n, prot, flags, fd, offset))

WRAP(socket, -1, int, socket, (int domain, int type, int protocol), (domain, type, protocol))
WRAP(socketpair, -1, int, socketpair, (int domain, int type, int protocol, int fd[2]), (domain, type, protocol, fd))
WRAP(accept4, -1, int, accept4, (int fd, struct sockaddr *from, socklen_t *length, int flags),
    (fd, from, length, flags))
WRAP(connect, -1, int, connect, (int fd, const struct sockaddr *to, socklen_t length), (fd, to, length))
WRAP(bind, -1, int, bind, (int fd, const struct sockaddr *at, socklen_t length), (fd, at, length))
WRAP(listen, -1, int, listen, (int fd, int backlog), (fd, backlog))
WRAP_SOCKET(shutdown, int, shutdown, (int fd, int how), (fd, how))
WRAP(getsockopt, -1, int, getsockopt, (int fd, int level, int name, void *value, socklen_t *length),
    (fd, level, name, value, length))
WRAP(setsockopt, -1, int, setsockopt, (int fd, int level, int name, const void *value, socklen_t length),
    (fd, level, name, value, length))
WRAP(getsockname, -1, int, getsockname, (int fd, struct sockaddr *name, socklen_t *length), (fd, name, length))
WRAP(getpeername, -1, int, getpeername, (int fd, struct sockaddr *name, socklen_t *length), (fd, name, length))

WRAP(splice, -1, ssize_t, splice, (int in, off64_t *in_at, int out, off64_t *out_at, size_t n, unsigned flags),
    (in, in_at, out, out_at, n, flags))
WRAP_SOCKET(recv, ssize_t, recv, (int fd, void *bytes, size_t n, int flags), (fd, bytes, n, flags))
WRAP_SOCKET(recv, ssize_t, __recv_chk, (int fd, void *bytes, size_t n, size_t room, int flags),
    (fd, bytes, n, room, flags))
WRAP_SOCKET(recvfrom, ssize_t, recvfrom, (int fd, void *bytes, size_t n, int flags, struct sockaddr *from,
    socklen_t *length), (fd, bytes, n, flags, from, length))
WRAP_SOCKET(recvmsg, ssize_t, recvmsg, (int fd, struct msghdr *message, int flags), (fd, message, flags))
WRAP_SOCKET(recvmmsg, int, recvmmsg, (int fd, struct mmsghdr *messages, unsigned n, int flags, struct timespec *time),
    (fd, messages, n, flags, time))
WRAP_SOCKET(send, ssize_t, send, (int fd, const void *bytes, size_t n, int flags), (fd, bytes, n, flags))
WRAP_SOCKET(sendto, ssize_t, sendto, (int fd, const void *bytes, size_t n, int flags, const struct sockaddr *to,
    socklen_t length), (fd, bytes, n, flags, to, length))
WRAP_SOCKET(sendmsg, ssize_t, sendmsg, (int fd, const struct msghdr *message, int flags), (fd, message, flags))
WRAP_SOCKET(sendmmsg, int, sendmmsg, (int fd, struct mmsghdr *messages, unsigned n, int flags),
    (fd, messages, n, flags))
WRAP_COUNTER(read, ssize_t, read, (int fd, void *bytes, size_t n), (fd, bytes, n))
WRAP_SOCKET(readv, ssize_t, readv, (int fd, const struct iovec *parts, int n), (fd, parts, n))
WRAP_COUNTER(write, ssize_t, write, (int fd, const void *bytes, size_t n), (fd, bytes, n))
WRAP_SOCKET(writev, ssize_t, writev, (int fd, const struct iovec *parts, int n), (fd, parts, n))
WRAP(pread, -1, ssize_t, pread64, (int fd, void *bytes, size_t n, off64_t at), (fd, bytes, n, at))
WRAP(pwrite, -1, ssize_t, pwrite64, (int fd, const void *bytes, size_t n, off64_t at), (fd, bytes, n, at))
WRAP(pwritev2, -1, ssize_t, pwritev64v2, (int fd, const struct iovec *parts, int n, off64_t at, int flags),
    (fd, parts, n, at, flags))

WRAP(pipe2, -1, int, pipe2, (int fd[2], int flags), (fd, flags))
WRAP(epoll_create1, -1, int, epoll_create1, (int flags), (flags))
WRAP(epoll_ctl, -1, int, epoll_ctl, (int at, int what, int fd, struct epoll_event *event), (at, what, fd, event))
WRAP(epoll_wait, -1, int, epoll_wait, (int at, struct epoll_event *events, int n, int time), (at, events, n, time))
WRAP(eventfd, -1, int, eventfd, (unsigned count, int flags), (count, flags))
WRAP(timerfd_create, -1, int, timerfd_create, (clockid_t clock, int flags), (clock, flags))
WRAP(timerfd_settime, -1, int, timerfd_settime, (int fd, int flags, const struct itimerspec *to,
    struct itimerspec *old), (fd, flags, to, old))

WRAP(open, -1, int, __open64_2, (const char *path, int flags), (path, flags))
WRAP(openat, -1, int, __openat64_2, (int at, const char *path, int flags), (at, path, flags))

/* The last argument, whatever type it has; there may be none. */
#define LAST(name) ({ \
	va_list list; \
	long last; \
	va_start(list, name); \
	last = va_arg(list, long); \
	va_end(list); \
	last; })

#define WRAP_LAST(what, name, parameters, arguments, before) \
	int name parameters; \
	int name parameters \
	{ \
		long last = LAST(before); \
		return faults_hit(FAULTS_##what) ? -1 : NEXT(name) arguments; \
	}

WRAP_LAST(open, open, (const char *path, int flags, ...), (path, flags, (mode_t)last), flags)
WRAP_LAST(open, open64, (const char *path, int flags, ...), (path, flags, (mode_t)last), flags)
WRAP_LAST(openat, openat, (int at, const char *path, int flags, ...), (at, path, flags, (mode_t)last), flags)
WRAP_LAST(openat, openat64, (int at, const char *path, int flags, ...), (at, path, flags, (mode_t)last), flags)
WRAP_LAST(ioctl, ioctl, (int fd, unsigned long what, ...), (fd, what, last), what)

/* Flags can always be asked for. */
#define WRAP_FCNTL(name) \
	int name(int fd, int what, ...); \
	int name(int fd, int what, ...) \
	{ \
		long last = LAST(what); \
		if (what != F_GETFD && what != F_GETFL && faults_hit(FAULTS_fcntl)) \
			return -1; \
		return NEXT(name)(fd, what, last); \
	}

WRAP_FCNTL(fcntl)
WRAP_FCNTL(fcntl64)

WRAP(fopen, NULL, FILE *, fopen64, (const char *path, const char *mode), (path, mode))
WRAP(fopen, NULL, FILE *, fopen, (const char *path, const char *mode), (path, mode))
WRAP(fdopen, NULL, FILE *, fdopen, (int fd, const char *mode), (fd, mode))
WRAP(opendir, NULL, DIR *, opendir, (const char *path), (path))
WRAP(fdopendir, NULL, DIR *, fdopendir, (int fd), (fd))
WRAP(scandir, -1, int, scandir64, (const char *path, struct dirent64 ***list,
    int (*filter)(const struct dirent64 *), int (*order)(const struct dirent64 **, const struct dirent64 **)),
    (path, list, filter, order))
WRAP(dup2, -1, int, dup2, (int fd, int to), (fd, to))
WRAP(dup2, -1, int, dup3, (int fd, int to, int flags), (fd, to, flags))
WRAP(execve, -1, int, execve, (const char *path, char *const *words, char *const *settings), (path, words, settings))
WRAP(execve, -1, int, execvp, (const char *path, char *const *words), (path, words))
WRAP(fexecve, -1, int, fexecve, (int fd, char *const *words, char *const *settings), (fd, words, settings))
WRAP(waitpid, -1, pid_t, waitpid, (pid_t pid, int *status, int flags), (pid, status, flags))
WRAP(waitid, -1, int, waitid, (idtype_t type, id_t id, siginfo_t *info, int flags), (type, id, info, flags))
WRAP(memfd_create, -1, int, memfd_create, (const char *name, unsigned flags), (name, flags))
WRAP(ftruncate, -1, int, ftruncate64, (int fd, off64_t size), (fd, size))
WRAP(fsync, -1, int, fsync, (int fd), (fd))
WRAP(fdatasync, -1, int, fdatasync, (int fd), (fd))
WRAP(flock, -1, int, flock, (int fd, int what), (fd, what))
WRAP(fstat, -1, int, fstat64, (int fd, struct stat64 *found), (fd, found))
WRAP(stat, -1, int, stat64, (const char *path, struct stat64 *found), (path, found))
WRAP(lstat, -1, int, lstat64, (const char *path, struct stat64 *found), (path, found))
WRAP(fstatat, -1, int, fstatat64, (int at, const char *path, struct stat64 *found, int flags),
    (at, path, found, flags))
WRAP(statx, -1, int, statx, (int at, const char *path, int flags, unsigned mask, struct statx *found),
    (at, path, flags, mask, found))
WRAP(access, -1, int, access, (const char *path, int mode), (path, mode))
WRAP(faccessat, -1, int, faccessat, (int at, const char *path, int mode, int flags), (at, path, mode, flags))
WRAP(chmod, -1, int, chmod, (const char *path, mode_t mode), (path, mode))
WRAP(lchown, -1, int, lchown, (const char *path, uid_t user, gid_t group), (path, user, group))
WRAP(mkdir, -1, int, mkdir, (const char *path, mode_t mode), (path, mode))
WRAP(rename, -1, int, rename, (const char *path, const char *to), (path, to))
WRAP(renameat, -1, int, renameat, (int at, const char *path, int to_at, const char *to), (at, path, to_at, to))
WRAP(unlink, -1, int, unlink, (const char *path), (path))
WRAP(unlinkat, -1, int, unlinkat, (int at, const char *path, int flags), (at, path, flags))
WRAP(readlink, -1, ssize_t, readlink, (const char *path, char *to, size_t room), (path, to, room))
WRAP(realpath, NULL, char *, realpath, (const char *path, char *to), (path, to))
WRAP(inotify_init1, -1, int, inotify_init1, (int flags), (flags))
WRAP(inotify_add_watch, -1, int, inotify_add_watch, (int fd, const char *path, uint32_t mask), (fd, path, mask))
WRAP(getrandom, -1, ssize_t, getrandom, (void *bytes, size_t n, unsigned flags), (bytes, n, flags))
WRAP(poll, -1, int, poll, (struct pollfd *files, nfds_t n, int time), (files, n, time))
WRAP(sigtimedwait, -1, int, sigtimedwait, (const sigset_t *set, siginfo_t *info, const struct timespec *time),
    (set, info, time))
WRAP(setpgid, -1, int, setpgid, (pid_t pid, pid_t group), (pid, group))
WRAP(chdir, -1, int, chdir, (const char *path), (path))
WRAP(getrlimit, -1, int, getrlimit64, (__rlimit_resource_t what, struct rlimit64 *limit), (what, limit))
WRAP(setrlimit, -1, int, setrlimit64, (__rlimit_resource_t what, const struct rlimit64 *limit), (what, limit))
WRAP(pthread_create, errno, int, pthread_create, (pthread_t *thread, const pthread_attr_t *how,
    void *(*run)(void *), void *arg), (thread, how, run, arg))

static pid_t
faults_born(pid_t pid, enum faults_process kind)
{
	if (pid == 0) {
		faults_kind = kind;
		faults_pid = (pid_t)syscall(SYS_getpid);
	}
	return pid;
}

pid_t
fork(void)
{
	return faults_hit(FAULTS_fork) ? -1 :
	    faults_born(NEXT(fork)(), faults_kind == FAULTS_TLS ? FAULTS_TLS : FAULTS_CHILD);
}

long
syscall(long number, ...)
{
	long a[6];
	va_list list;
	bool clone = number == SYS_clone;

	va_start(list, number);
	for (int i = 0; i < 6; i++)
		a[i] = va_arg(list, long);
	va_end(list);
	if ((clone && faults_hit(FAULTS_clone)) || (number == SYS_pidfd_open && faults_hit(FAULTS_pidfd_open)))
		return -1;
	if (clone)
		return faults_born((pid_t)NEXT(syscall)(number, a[0], a[1], a[2], a[3], a[4], a[5]), FAULTS_WORKER);
	return NEXT(syscall)(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

#if defined(__x86_64__)
/* What shares its caller's stack can only be jumped to.  NULL: it fails. */
void *faults_vfork(void);

void *
faults_vfork(void)
{
	static void *next;

	if (next == NULL)
		next = faults_next("vfork");
	return faults_hit(FAULTS_vfork) ? NULL : next;
}

__asm__(".globl vfork\n.type vfork, @function\nvfork:\n"
	"	subq $8, %rsp\n	call faults_vfork@PLT\n	addq $8, %rsp\n"
	"	testq %rax, %rax\n	je 1f\n	jmp *%rax\n"
	"1:	movl $-1, %eax\n	ret\n.size vfork, .-vfork\n");
#endif
