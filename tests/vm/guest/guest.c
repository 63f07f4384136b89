/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the guest programs share. */
#include "guest.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define HOST_PORT "/dev/virtio-ports/vfn.requests"

const struct guest_ns guest_ns512 = { .nsid = 1, .block = 512 };
const struct guest_ns guest_ns4096 = { .nsid = 2, .block = 4096 };

const char *guest_bdf(const char *name)
{
	char variable[64];
	const char *bdf;
	char *p;

	snprintf(variable, sizeof(variable), "BDF_%s", name);
	for (p = variable; *p; p++)
		*p = (char)toupper(*p);

	bdf = getenv(variable);
	if (!bdf)
		fail_msg("%s is not set", variable);

	return bdf;
}

void guest_open(struct nvme_ctrl *ctrl, const char *name, unsigned int quirks)
{
	struct nvme_ctrl_opts opts = nvme_ctrl_opts_default;

	opts.quirks = quirks;

	assert_vfn(nvme_init(ctrl, guest_bdf(name), &opts) == 0);
	assert_vfn(nvme_create_ioqpair(ctrl, 1, 64, -1, 0) == 0);
}

void *guest_alloc(size_t len)
{
	void *mem;

	if (pgmap(&mem, len) < (ssize_t)len)
		fail_msg("no memory");

	return mem;
}

void guest_free(void *mem, size_t len)
{
	pgunmap(mem, len);
}

static uint64_t next_word(uint64_t *state)
{
	/* splitmix64 */
	uint64_t word = (*state += 0x9e3779b97f4a7c15ULL);

	word = (word ^ (word >> 30)) * 0xbf58476d1ce4e5b9ULL;
	word = (word ^ (word >> 27)) * 0x94d049bb133111ebULL;

	return word ^ (word >> 31);
}

void guest_fill(void *mem, size_t len, uint64_t seed)
{
	uint64_t *words = mem;
	size_t i;

	for (i = 0; i < len / sizeof(*words); i++)
		words[i] = next_word(&seed);
}

void guest_check(const void *mem, size_t len, uint64_t seed)
{
	const uint64_t *words = mem;
	uint64_t state = seed;
	size_t i;

	for (i = 0; i < len / sizeof(*words); i++) {
		uint64_t want = next_word(&state);

		if (words[i] != want)
			fail_msg("byte %zu of %zu: %016llx is not %016llx of seed %llu",
				 i * sizeof(*words), len, (unsigned long long)words[i],
				 (unsigned long long)want, (unsigned long long)seed);
	}
}

union nvme_cmd guest_rw(uint8_t opcode, const struct guest_ns *ns, uint64_t slba, size_t len)
{
	return (union nvme_cmd){ .rw = {
					 .opcode = opcode,
					 .nsid = cpu_to_le32(ns->nsid),
					 .slba = cpu_to_le64(slba),
					 .nlb = cpu_to_le16((uint16_t)(len / ns->block - 1)),
				 } };
}

int guest_try(struct nvme_ctrl *ctrl, int qid, union nvme_cmd cmd, void *mem, size_t len,
	      struct nvme_cqe *cqe)
{
	return nvme_sync(ctrl, &ctrl->sq[qid], &cmd, mem, len, cqe);
}

void guest_write(struct nvme_ctrl *ctrl, int qid, const struct guest_ns *ns, uint64_t slba,
		 void *mem, size_t len)
{
	assert_vfn(guest_try(ctrl, qid, guest_rw(NVME_IO_WRITE, ns, slba, len), mem, len, NULL) ==
		   0);
}

void guest_read(struct nvme_ctrl *ctrl, int qid, const struct guest_ns *ns, uint64_t slba,
		void *mem, size_t len)
{
	assert_vfn(guest_try(ctrl, qid, guest_rw(NVME_IO_READ, ns, slba, len), mem, len, NULL) ==
		   0);
}

int guest_kernel_open(const char *name, uint32_t nsid, int flags)
{
	char path[256];
	int fd = -1;
	glob_t found;
	size_t i;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/nvme/nvme*/nvme*n*/nsid",
		 guest_bdf(name));
	if (glob(path, 0, NULL, &found))
		fail_msg("no %s", path);

	/* a block device's number need not be the NSID */
	for (i = 0; i < found.gl_pathc && fd < 0; i++) {
		FILE *file = fopen(found.gl_pathv[i], "r");
		unsigned int number = 0;

		if (!file || fscanf(file, "%u", &number) != 1)
			fail_msg("cannot read %s", found.gl_pathv[i]);
		fclose(file);
		if (number != nsid)
			continue;

		*strrchr(found.gl_pathv[i], '/') = '\0';
		snprintf(path, sizeof(path), "/dev/%s", strrchr(found.gl_pathv[i], '/') + 1);
		fd = open(path, O_RDONLY | O_CLOEXEC | flags);
		if (fd < 0)
			fail_msg("cannot open %s: %s", path, strerror(errno));
	}
	globfree(&found);
	if (fd < 0)
		fail_msg("the kernel has no namespace %u of %s", nsid, name);

	return fd;
}

void guest_kernel_read(const struct guest_ns *ns, uint64_t slba, void *mem, size_t len)
{
	int fd = guest_kernel_open("b", ns->nsid, O_DIRECT);

	assert_int_equal(pread(fd, mem, len, (off_t)(slba * ns->block)), len);
	close(fd);
}

void guest_kernel_check(const struct guest_ns *ns, uint64_t slba, size_t len, uint64_t seed)
{
	size_t room = ALIGN_UP(len, 4096UL);
	void *mem = guest_alloc(room);

	guest_kernel_read(ns, slba, mem, len);
	guest_check(mem, len, seed);

	guest_free(mem, room);
}

void guest_identify(struct nvme_ctrl *ctrl, void *data)
{
	union nvme_cmd cmd = { .identify = { .opcode = NVME_ADMIN_IDENTIFY, .cns = 1 } };

	assert_vfn(nvme_admin(ctrl, &cmd, data, 4096, NULL) == 0);
}

/* One line there, one line back. */
static void ask_host(const char *request, char *reply, size_t len)
{
	size_t got = 0;
	int fd;

	fd = open(HOST_PORT, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		fail_msg("cannot open %s: %s", HOST_PORT, strerror(errno));

	if (write(fd, request, strlen(request)) != (ssize_t)strlen(request))
		fail_msg("cannot reach the host: %s", strerror(errno));

	while (got < len - 1 && (!got || reply[got - 1] != '\n')) {
		ssize_t n = read(fd, reply + got, len - 1 - got);

		if (n <= 0)
			fail_msg("no answer from the host to %s", request);
		got += (size_t)n;
	}
	reply[got] = '\0';
	close(fd);
}

static bool refused(const char *reply)
{
	return !strncmp(reply, "{\"error\"", strlen("{\"error\""));
}

bool host_try_qmp(const char *fmt, ...)
{
	char request[512], reply[1024];
	va_list args;
	int len;

	va_start(args, fmt);
	len = vsnprintf(request, sizeof(request) - 1, fmt, args);
	va_end(args);
	assert_in_range(len, 1, sizeof(request) - 2);
	memcpy(request + len, "\n", 2);

	ask_host(request, reply, sizeof(reply));
	if (refused(reply))
		print_message("# %s# %s", request, reply);

	return !refused(reply);
}

void host_read(const char *name, uint64_t offset, void *mem, size_t len)
{
	char request[256], reply[4096];
	size_t done, i;

	for (done = 0; done < len; done += i) {
		size_t part = len - done < 1024 ? len - done : 1024;
		const char *hex = reply + strlen("{\"return\": \"");

		snprintf(
			request, sizeof(request),
			"{\"execute\": \"vfn-read\", \"arguments\": {\"name\": \"%s\", \"offset\": %llu, \"length\": %zu}}\n",
			name, (unsigned long long)(offset + done), part);
		ask_host(request, reply, sizeof(reply));
		for (i = 0; i < part; i++) {
			unsigned int byte;

			if (sscanf(hex + 2 * i, "%2x", &byte) != 1)
				fail_msg("%s%s", request, reply);
			((uint8_t *)mem)[done + i] = (uint8_t)byte;
		}
	}
}

void host_check(const char *name, uint64_t offset, size_t len, uint64_t seed)
{
	void *mem = guest_alloc(len);

	host_read(name, offset, mem, len);
	guest_check(mem, len, seed);
	guest_free(mem, len);
}

void host_save(const char *name, uint64_t addr, size_t len)
{
	host_qmp(
		"{\"execute\": \"vfn-save\", \"arguments\": {\"name\": \"%s\", \"address\": %llu, \"length\": %zu}}",
		name, (unsigned long long)addr, len);
}

void host_trace(const char *event)
{
	host_qmp(
		"{\"execute\": \"trace-event-set-state\", \"arguments\": {\"name\": \"%s\", \"enable\": true}}",
		event);
}

static long host_count(const char *what, const char *key, const char *value)
{
	char request[256], reply[256];
	long count;

	snprintf(request, sizeof(request),
		 "{\"execute\": \"vfn-%s-count\", \"arguments\": {\"%s\": \"%s\"}}\n", what, key,
		 value);
	ask_host(request, reply, sizeof(reply));
	if (sscanf(reply, "{\"return\": %ld}", &count) != 1)
		fail_msg("%s", reply);

	return count;
}

long host_trace_count(const char *text)
{
	return host_count("trace", "text", text);
}

long host_event_count(const char *name)
{
	return host_count("event", "name", name);
}

uint64_t host_seconds(void)
{
	unsigned long long seconds;
	char reply[256];

	ask_host("{\"execute\": \"vfn-seconds\"}\n", reply, sizeof(reply));
	if (sscanf(reply, "{\"return\": %llu}", &seconds) != 1)
		fail_msg("%s", reply);

	return seconds;
}

int guest_count_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int n = 0;

	assert_non_null(dir);
	while (readdir(dir))
		n++;
	closedir(dir);

	return n;
}

unsigned int guest_kernel_objects(pid_t pid)
{
	char path[64], target[256];
	struct dirent *entry;
	unsigned int n = 0;
	DIR *dir;

	(void)snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	dir = opendir(path);
	assert_non_null(dir);
	while ((entry = readdir(dir))) {
		ssize_t len = readlinkat(dirfd(dir), entry->d_name, target, sizeof(target) - 1);

		if (len < 0)
			continue;
		target[len] = '\0';
		n += strstr(target, "vfio") || strstr(target, "iommu") || strstr(target, "eventfd");
	}
	closedir(dir);

	return n;
}
