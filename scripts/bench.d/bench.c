/* SPDX-License-Identifier: MIT */
/*
 * Guest instructions per operation: under QEMU's -icount shift=0 the time-stamp counter counts
 * instructions. Each figure is the median of many single operations, after a warm-up.
 *
 *   bench prepare            make the files, as root and outside any jail, before each `ops`
 *   bench ops [landlock]     every operation; landlock: under that many rules of its own
 *   bench net                those of `ops` that are about the network
 *   bench http               requests to the server on port 8080
 *   bench denials            what the role `bench` refuses
 *   bench tree               make a tree of TREE_FILES files, which is walked by
 *   bench walk [landlock]    reading each once, as grep -r does; one run, whole
 *   bench whole NAME CMD...  the command, whole, which is to do the same each time
 *   bench start CMD...       fork, exec and wait of command lines, in turn; one that begins with
 *                            socket:ROLE asks for that role at the enrollment socket first
 *
 * Prints NAME<TAB>INSTRUCTIONS. Any operation that fails, or a counter that does not count
 * instructions, ends it with status 1. A new operation is one line in `ops` below.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <linux/landlock.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	MOST = 1000, /* repetitions of an operation */
	WARMUP = 20, /* before them, unmeasured */
	STARTS = 21, /* repetitions of a start-up */
	WHOLES = 3,  /* repetitions of a whole command */
	TREE_FILES = 100000,
	TREE_WIDTH = 100,  /* files in a directory */
	FIRST_PORT = 7001, /* of the ten that bench.toml opens */
	PORTS = 10,
};

#define TOP "/bench"
#define DIR5 TOP "/d2/d3/d4/d5"
#define DIR11 DIR5 "/d6/d7/d8/d9/d10/d11"
#define FRESH TOP "/d2/d3/d4" /* files/f and create 5 deep, dirs/d/f 6 deep */
#define DENIED "/denied/d2/d3/d4/d5"
#define TRUE "/vm/true"
#define ENROLLMENT "/run/bpfjailer/enrollment.sock"

#define check(what) checked((long)(what), #what, __LINE__)

static long checked(long result, const char *what, int line)
{
	if (result >= 0)
		return result;
	fprintf(stderr, "bench: error: line %d: %s: %s\n", line, what, strerror(errno));
	exit(1);
}

static inline uint64_t now(void)
{
	uint32_t low, high;

	__asm__ volatile("lfence; rdtsc; lfence" : "=a"(low), "=d"(high)::"memory");
	return (uint64_t)high << 32 | low;
}

static int by_size(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static uint64_t median(uint64_t *samples, int count)
{
	qsort(samples, count, sizeof(*samples), by_size);
	return samples[count / 2];
}

/* Files */

static char fresh[PATH_MAX];
static int file;
static struct stat status;

static void open_at(const char *path)
{
	close(check(open(path, O_RDONLY)));
}

static void open5(int i)
{
	open_at(DIR5 "/file");
}
static void open11(int i)
{
	open_at(DIR11 "/file");
}
static void open_fresh(int i)
{
	open_at(fresh);
}
static void name_file(int i)
{
	sprintf(fresh, FRESH "/files/f%d", i);
}
static void name_dir(int i)
{
	sprintf(fresh, FRESH "/dirs/d%d/f", i);
}
static void create(int i)
{
	close(check(open(fresh, O_WRONLY | O_CREAT | O_EXCL, 0600)));
}
static void name_new(int i)
{
	sprintf(fresh, FRESH "/new%d", i);
}
static void unlink_fresh(int i)
{
	check(unlink(fresh));
}
static void create_fresh(int i)
{
	name_new(i), create(i);
}
static void rename_fresh(int i)
{
	check(rename(fresh, FRESH "/renamed"));
}
static void unlink_renamed(int i)
{
	check(unlink(FRESH "/renamed"));
}
static void do_stat(int i)
{
	check(stat(DIR5 "/file", &status));
}
static void do_chmod(int i)
{
	check(chmod(DIR5 "/file", i & 1 ? 0644 : 0640));
}
static void open_file(void)
{
	file = check(open(DIR5 "/file", O_RDWR));
}
static void do_read(int i)
{
	check(pread(file, fresh, 1, 0));
}
static void do_write(int i)
{
	check(pwrite(file, "x", 1, 0));
}

/* Network: both ends here, on the loopback device */

static int server, client, peer;

static struct sockaddr *address(int nth)
{
	static struct sockaddr_in in = { .sin_family = AF_INET };

	in.sin_port = htons(FIRST_PORT + nth);
	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return (struct sockaddr *)&in;
}

static const socklen_t address_len = sizeof(struct sockaddr_in);

static int new_socket(int type)
{
	/* Accepted sockets inherit it: closed first they reset, and no port stays in TIME_WAIT. */
	struct linger reset = { .l_onoff = 1 };
	int one = 1, fd = check(socket(AF_INET, type, 0));

	check(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)));
	check(setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)));
	return fd;
}

static void tcp_server(void)
{
	server = new_socket(SOCK_STREAM);
	check(bind(server, address(0), address_len));
	check(listen(server, 16));
}

static void tcp_socket(int i)
{
	client = check(socket(AF_INET, SOCK_STREAM, 0));
}
static void tcp_connect(int i)
{
	check(connect(client, address(0), address_len));
}
static void tcp_accept(int i)
{
	peer = check(accept(server, NULL, NULL));
}
static void tcp_close(int i)
{
	check(close(peer)), check(close(client));
}
static void tcp_finish(int i)
{
	tcp_accept(i), tcp_close(i);
}
static void tcp_whole(int i)
{
	tcp_socket(i), tcp_connect(i), tcp_accept(i), tcp_close(i);
}
static void close_client(int i)
{
	check(close(client));
}
static void bind_socket(int i)
{
	client = new_socket(SOCK_STREAM);
}
static void do_bind(int i)
{
	check(bind(client, address(1), address_len));
}

static void bind_whole(int i)
{
	tcp_socket(i);
	do_bind(i);
	close_client(i);
}

static void tcp_pair(void)
{
	tcp_server();
	tcp_socket(0);
	tcp_connect(0);
	tcp_accept(0);
}

static void udp_pair(void)
{
	peer = new_socket(SOCK_DGRAM);
	check(bind(peer, address(2), address_len));
	client = check(socket(AF_INET, SOCK_DGRAM, 0));
}

static void udp_connected(void)
{
	udp_pair();
	check(connect(client, address(2), address_len));
}

static void send_to(int i)
{
	check(sendto(client, "x", 1, 0, address(2), address_len));
}
static void receive(int i)
{
	check(recv(peer, fresh, sizeof(fresh), 0));
}

/* To more addresses than jail remembers for a task. */
static int peers[PORTS];

static void udp_peers(void)
{
	for (int i = 0; i < PORTS; i++) {
		peers[i] = new_socket(SOCK_DGRAM);
		check(bind(peers[i], address(i), address_len));
	}
	client = check(socket(AF_INET, SOCK_DGRAM, 0));
}
static void send_to_next(int i)
{
	check(sendto(client, "x", 1, 0, address((i + WARMUP) % PORTS), address_len));
}
static void receive_next(int i)
{
	check(recv(peers[(i + WARMUP) % PORTS], fresh, sizeof(fresh), 0));
}
static void close_peers(void)
{
	for (int i = 0; i < PORTS; i++)
		check(close(peers[i]));
	check(close(client));
}

static void send_message(int i)
{
	struct iovec part = { "x", 1 };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };

	check(sendmsg(client, &message, 0));
}

static void close_both(void)
{
	check(close(peer)), check(close(client));
}
static void close_server(void)
{
	check(close(server));
}
static void close_three(void)
{
	close_both(), close_server();
}

/* A server of others on port 8080, which serves /file; what it does is counted, too. */

static void http_connect(int i)
{
	struct sockaddr_in in = *(struct sockaddr_in *)address(0);

	in.sin_port = htons(8080);
	client = check(socket(AF_INET, SOCK_STREAM, 0));
	check(connect(client, (void *)&in, address_len));
}

static void http_ask(const char *connection)
{
	static const char body[] = "content\n";
	size_t have = 0, end = sizeof(body) - 1;
	char text[4096];
	int length = sprintf(text, "GET /file HTTP/1.1\r\nHost: bench\r\nConnection: %s\r\n\r\n",
			     connection);

	check(write(client, text, length));
	while (have < end || memcmp(text + have - end, body, end)) {
		ssize_t more = check(read(client, text + have, sizeof(text) - have));

		if (!more)
			checked(-1, "the server's answer", __LINE__);
		have += more;
	}
	if (strncmp(text, "HTTP/1.1 200 ", 13))
		checked(-1, "the server's status", __LINE__);
}

static void http_kept(int i)
{
	http_ask("keep-alive");
}
static void http_whole(int i)
{
	char rest;

	http_connect(i);
	http_ask("close");
	check(read(client, &rest, 1));
	close_client(i);
}
static void http_begin(void)
{
	http_connect(0);
}
static void http_end(void)
{
	close_client(0);
}

/* Processes and memory */

static pid_t child;
static char *memory;

static void await(pid_t pid)
{
	int result;

	check(waitpid(pid, &result, 0));
	if (result) {
		fprintf(stderr, "bench: error: a child ended with status %#x\n", result);
		exit(1);
	}
}

static void do_fork(int i)
{
	pid_t pid = check(fork());

	if (!pid)
		_exit(0);
	await(pid);
}

/* What a launcher without privilege does that has only the socket. */
static void enroll_at_exec(const char *role)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX, .sun_path = ENROLLMENT };
	int fd = check(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
	char text[100];

	check(connect(fd, (void *)&to, sizeof(to)));
	dprintf(fd, "{\"EnrollAtExec\": {\"pod_id\": 0, \"role_id\": %s}}\n", role);
	text[check(read(fd, text, sizeof(text) - 1))] = 0;
	if (strcmp(text, "\"Success\"\n"))
		_exit(125);
	check(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
}

static void spawn(char **argv)
{
	pid_t pid = check(fork());

	if (!pid) {
		if (!strncmp(argv[0], "socket:", 7))
			enroll_at_exec(*argv++ + 7);
		execv(argv[0], argv);
		_exit(127);
	}
	await(pid);
}

static void do_exec(int i)
{
	spawn((char *[]){ TRUE, NULL });
}

static void start_child(void)
{
	child = check(fork());
	if (!child)
		for (;;)
			pause();
}

static void stop_child(void)
{
	check(kill(child, SIGKILL));
	check(waitpid(child, NULL, 0));
}

static void kill_self(int i)
{
	check(kill(getpid(), 0));
}
static void kill_child(int i)
{
	check(kill(child, 0));
}
/* A child that answers each signal by a byte. Once it is woken it runs until it sleeps again,
 * or who runs when would be the scheduler's to choose. */
static int answers[2];

static void start_answering(void)
{
	struct sched_param first = { .sched_priority = 1 };
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	check(sigprocmask(SIG_BLOCK, &set, NULL));
	check(pipe(answers));
	child = check(fork());
	if (!child) {
		check(sched_setscheduler(0, SCHED_FIFO, &first));
		for (;;) {
			check(sigwaitinfo(&set, NULL));
			check(write(answers[1], "x", 1));
		}
	}
}
static void kill_answered(int i)
{
	check(kill(child, SIGUSR1));
	check(read(answers[0], fresh, 1));
}
static void stop_answering(void)
{
	stop_child();
	check(close(answers[0])), check(close(answers[1]));
}

static void do_getpid(int i)
{
	syscall(SYS_getpid);
}

static void map(int prot, int flags, int fd)
{
	memory = mmap(NULL, 4096, prot, flags, fd, 0);
	check(memory == MAP_FAILED ? -1 : 0);
}

static void map_anon(int i)
{
	map(PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
}
static void map_code(int i)
{
	map(PROT_READ | PROT_EXEC, MAP_PRIVATE, file);
}
static void unmap(int i)
{
	check(munmap(memory, 4096));
}
static void map_touch_unmap(int i)
{
	map_code(i);
	(void)*(volatile char *)memory;
	unmap(i);
}
static void open_code(void)
{
	file = check(open(TRUE, O_RDONLY));
}
static void map_once(void)
{
	map_anon(0);
}
static void unmap_once(void)
{
	unmap(0);
}
static void protect(int i)
{
	check(mprotect(memory, 4096, i & 1 ? PROT_READ : PROT_READ | PROT_WRITE));
}
static void protect_touch(int i)
{
	check(mprotect(memory, 4096, PROT_READ | PROT_WRITE));
	*(volatile char *)memory = 1;
	check(mprotect(memory, 4096, PROT_READ));
}
static void close_file(void)
{
	check(close(file));
}

static const struct op {
	const char *name;
	int count;
	void (*measured)(int i);
	void (*begin)(void), (*end)(void);	/* around all repetitions */
	void (*before)(int i), (*after)(int i); /* around each */
} ops[] = {
	{ "getpid (control)", 1000, do_getpid },
	{ "open+close, 5 deep", 1000, open5 },
	{ "open+close, 11 deep", 1000, open11 },
	{ "open+close, new file", 300, open_fresh, .before = name_file },
	{ "open+close, new dir", 300, open_fresh, .before = name_dir },
	{ "create+close", 300, create, .before = name_new, .after = unlink_fresh },
	{ "unlink", 300, unlink_fresh, .before = create_fresh },
	{ "rename", 300, rename_fresh, .before = create_fresh, .after = unlink_renamed },
	{ "chmod", 500, do_chmod },
	{ "stat", 1000, do_stat },
	{ "read", 1000, do_read, open_file, close_file },
	{ "write", 1000, do_write, open_file, close_file },
	{ "connect (tcp)", 300, tcp_connect, tcp_server, close_server, tcp_socket, tcp_finish },
	{ "tcp connection, whole", 300, tcp_whole, tcp_server, close_server },
	{ "bind (tcp)", 500, do_bind, .before = bind_socket, .after = close_client },
	{ "socket+bind+close", 500, bind_whole },
	{ "sendto (udp, address)", 500, send_to, udp_pair, close_both, .after = receive },
	{ "sendto (udp, ten ports)", 500, send_to_next, udp_peers, close_peers,
	  .after = receive_next },
	{ "sendmsg (udp, connected)", 500, send_message, udp_connected, close_both,
	  .after = receive },
	{ "sendmsg (tcp)", 500, send_message, tcp_pair, close_three, .after = receive },
	{ "fork+exit+wait", 100, do_fork },
	{ "fork+exec+wait", 100, do_exec },
	{ "mmap (anonymous)", 500, map_anon, .after = unmap },
	{ "mmap (code)", 500, map_code, open_code, close_file, .after = unmap },
	{ "mmap+touch+munmap (code)", 500, map_touch_unmap, open_code, close_file },
	{ "mprotect", 500, protect, map_once, unmap_once },
	{ "mprotect+touch+mprotect", 500, protect_touch, map_once, unmap_once },
	{ "kill (self, 0)", 500, kill_self },
	{ "kill (child, 0)", 500, kill_child, start_child, stop_child },
	{ "kill (child), delivered", 500, kill_answered, start_answering, stop_answering },
};

static const struct op http[] = {
	{ "http request, new connection", 300, http_whole },
	{ "http request, kept connection", 500, http_kept, http_begin, http_end },
};

/*
 * Denials. Each is another than the one before it, or its event would only be counted as a
 * repetition; and there are few enough to stay below a domain's limit per second.
 */

static void refused(long result, int want)
{
	if (result >= 0 || errno != want) {
		fprintf(stderr, "bench: error: %s where errno %d was due\n",
			result < 0 ? strerror(errno) : "success", want);
		exit(1);
	}
}

static void new_second(void)
{
	check(usleep(1100000));
}
static void denied_socket(void)
{
	new_second();
	tcp_socket(0);
}
static void close_denied(void)
{
	check(close(client));
}
static void denied_connect(int i)
{
	refused(connect(client, address(PORTS), address_len), EACCES);
}
static void denied_connect_else(int i)
{
	refused(connect(client, address(PORTS + 1), address_len), EACCES);
}
static void denied_capability(int i)
{
	refused(sethostname("x", 1), EPERM);
}
static void denied_capability_else(int i)
{
	refused(chroot("/"), EPERM);
}
static void denied_open(int i)
{
	refused(open(DENIED "/file", O_RDONLY), EACCES);
}
static void denied_open_else(int i)
{
	refused(open(DENIED "/other", O_RDONLY), EACCES);
}
static void beyond_limit(void)
{
	denied_socket();
	for (int i = 0; i < 200; i++)
		denied_connect(i), denied_connect_else(i);
}

static const struct op denials[] = {
	{ "port", 40, denied_connect, denied_socket, close_denied, denied_connect_else },
	{ "port, again", 40, denied_connect, denied_socket, close_denied },
	{ "port, over the limit", 40, denied_connect, beyond_limit, close_denied,
	  denied_connect_else },
	{ "capability", 40, denied_capability, new_second, .before = denied_capability_else },
	{ "capability, again", 40, denied_capability, new_second },
	{ "path, 5 deep", 40, denied_open, new_second, .before = denied_open_else },
	{ "path, again", 40, denied_open, new_second },
};

static uint64_t overhead; /* of two calls of now() and one through a pointer */

static uint64_t measure(const struct op *op)
{
	static uint64_t samples[MOST];

	if (op->begin)
		op->begin();
	for (int i = -WARMUP; i < op->count; i++) {
		uint64_t start, end;

		if (op->before)
			op->before(i + WARMUP);
		start = now();
		op->measured(i);
		end = now();
		if (op->after)
			op->after(i);
		if (i >= 0)
			samples[i] = end - start;
	}
	if (op->end)
		op->end();
	return median(samples, op->count) - overhead;
}

static void nothing(int i)
{
}

static void loop(int i)
{
	long turns = 5000;

	__asm__ volatile("1: dec %0; jnz 1b" : "+r"(turns));
}

/* Whoever does not count instructions is found here. */
static void calibrate(void)
{
	uint64_t counted;

	overhead = measure(&(struct op){ .count = 100, .measured = nothing });
	counted = measure(&(struct op){ .count = 100, .measured = loop });
	if (counted < 9990 || counted > 10010) {
		fprintf(stderr, "bench: error: 10000 instructions took %lu ticks: no -icount?\n",
			counted);
		exit(1);
	}
}

static void make_file(const char *path)
{
	int fd = check(open(path, O_WRONLY | O_CREAT, 0644));

	check(write(fd, "content\n", 8));
	check(close(fd));
}

static void make_dir(const char *path)
{
	if (mkdir(path, 0755) && errno != EEXIST)
		check(-1);
}

static void make_dirs(const char *path)
{
	char part[PATH_MAX];

	for (const char *end = path + 1; (end = strchr(end, '/')); end++) {
		snprintf(part, end - path + 1, "%s", path);
		make_dir(part);
	}
	make_dir(path);
}

/* Files that no earlier run has opened, and those that every run opens. */
static void prepare(void)
{
	make_dirs(DIR11);
	make_file(DIR5 "/file");
	make_file(DIR11 "/file");
	make_dirs(DENIED);
	make_file(DENIED "/file");
	make_file(DENIED "/other");
	make_dirs(FRESH "/files");
	make_dirs(FRESH "/dirs");
	for (int i = 0; i < 300 + WARMUP; i++) {
		sprintf(fresh, FRESH "/dirs/d%d", i);
		make_dir(fresh);
		name_dir(i);
		unlink(fresh);
		make_file(fresh);
		name_file(i);
		unlink(fresh);
		make_file(fresh);
	}
	sync();
}

static void tree_name(char *to, int i)
{
	sprintf(to, TOP "/tree/d%d/d%d/f%d", i / TREE_WIDTH / 10, i / TREE_WIDTH, i);
}

static void make_tree(void)
{
	char path[PATH_MAX];

	for (int i = 0; i < TREE_FILES; i++) {
		tree_name(path, i);
		if (i % TREE_WIDTH == 0) {
			*strrchr(path, '/') = 0;
			make_dirs(path);
			tree_name(path, i);
		}
		make_file(path);
	}
}

static int read_file(const char *path, const struct stat *st, int type, struct FTW *at)
{
	char buf[64];
	int fd;

	if (type == FTW_F) {
		fd = check(open(path, O_RDONLY));
		check(read(fd, buf, sizeof(buf)));
		check(close(fd));
	}
	return 0;
}

static uint64_t walk_tree(void)
{
	uint64_t begun;

	sync(); /* or it is written back meanwhile */
	begun = now();
	check(nftw(TOP "/tree", read_file, 16, FTW_PHYS));
	return now() - begun;
}

static uint64_t whole(char **argv)
{
	static uint64_t samples[WHOLES];

	for (int i = -1; i < WHOLES; i++) {
		uint64_t begun = now();

		spawn(argv);
		if (i >= 0)
			samples[i] = now() - begun;
	}
	return median(samples, WHOLES);
}

/* The same ten places and ports as bench.toml. */
static void landlock(void)
{
	static const char *const places[] = { "/bench", "/vm",	 "/usr", "/etc", "/lib",
					      "/dev",	"/proc", "/run", "/tmp", "/var/tmp" };
	struct landlock_ruleset_attr all = { .handled_access_fs = (1ULL << 13) - 1 };
	size_t size = sizeof(all.handled_access_fs);
	long abi = check(
		syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION));
	struct {
		uint64_t handled_access_fs, handled_access_net;
	} both;
	int rules;

	if (abi >= 2)
		all.handled_access_fs |= 1ULL << 13; /* refer */
	both.handled_access_fs = all.handled_access_fs;
	both.handled_access_net = 3; /* bind and connect, tcp */
	if (abi >= 4)
		size = sizeof(both);
	rules = check(syscall(SYS_landlock_create_ruleset, &both, size, 0));
	for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++) {
		struct landlock_path_beneath_attr beneath = {
			.allowed_access = all.handled_access_fs,
			.parent_fd = check(open(places[i], O_PATH)),
		};

		check(syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &beneath,
			      0));
		check(close(beneath.parent_fd));
	}
	for (int i = 0; i < PORTS && abi >= 4; i++) {
		struct {
			uint64_t allowed_access, port;
		} port = { 3, FIRST_PORT + i };

		check(syscall(SYS_landlock_add_rule, rules, 2, &port, 0));
	}
	check(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	check(syscall(SYS_landlock_restrict_self, rules, 0));
	check(close(rules));
}

/* In turn, so that what drifts drifts for all. */
static void start(int count, char **lines)
{
	static uint64_t samples[16][STARTS];

	if (count > 16)
		check(-1);
	for (int i = -2; i < STARTS; i++) {
		for (int n = 0; n < count; n++) {
			char line[200], *argv[20], *rest = line;
			int words = 0;
			uint64_t begun;

			snprintf(line, sizeof(line), "%s", lines[n]);
			while (words < 19 && (argv[words] = strsep(&rest, " ")))
				words++;
			argv[words] = NULL;
			begun = now();
			spawn(argv);
			if (i >= 0)
				samples[n][i] = now() - begun;
		}
	}
	for (int n = 0; n < count; n++)
		printf("%s\t%lu\n", lines[n], median(samples[n], STARTS) - overhead);
}

static bool is_net(const struct op *op)
{
	return strstr(op->name, "tcp") || strstr(op->name, "udp") || strstr(op->name, "bind");
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";

	if (!strcmp(what, "prepare")) {
		prepare();
		return 0;
	}
	if (!strcmp(what, "tree")) {
		make_tree();
		return 0;
	}
	calibrate();
	if (!strcmp(what, "start")) {
		start(argc - 2, argv + 2);
	} else if (!strcmp(what, "ops")) {
		if (argc > 2)
			landlock();
		for (size_t i = 0; i < sizeof(ops) / sizeof(*ops); i++)
			printf("%s\t%lu\n", ops[i].name, measure(&ops[i]));
	} else if (!strcmp(what, "net")) {
		for (size_t i = 0; i < sizeof(ops) / sizeof(*ops); i++)
			if (is_net(&ops[i]))
				printf("%s\t%lu\n", ops[i].name, measure(&ops[i]));
	} else if (!strcmp(what, "http")) {
		for (size_t i = 0; i < sizeof(http) / sizeof(*http); i++)
			printf("%s\t%lu\n", http[i].name, measure(&http[i]));
	} else if (!strcmp(what, "denials")) {
		for (size_t i = 0; i < sizeof(denials) / sizeof(*denials); i++)
			printf("%s\t%lu\n", denials[i].name, measure(&denials[i]));
	} else if (!strcmp(what, "walk")) {
		if (argc > 2)
			landlock();
		printf("walk and read %d files\t%lu\n", TREE_FILES, walk_tree());
	} else if (!strcmp(what, "whole") && argc > 3) {
		printf("%s\t%lu\n", argv[2], whole(argv + 3));
	} else {
		fprintf(stderr,
			"usage: bench prepare | ops [landlock] | net | http | denials | tree | "
			"walk [landlock] | whole NAME CMD... | start CMD...\n");
		return 2;
	}
	return fflush(stdout) || ferror(stdout);
}
