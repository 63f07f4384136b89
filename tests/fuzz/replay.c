// SPDX-License-Identifier: GPL-2.0-or-later
/* A harness as a plain program: run it over files, or all files of folders, and say so in TAP. */

/* Programs that a harness carries may have these under other names. */
#undef main
#undef exit

#include "fuzz.h"

#include <dirent.h>
#include <errno.h>
#include <sys/stat.h>

static unsigned int count;

static void replay(const char *path)
{
	FILE *file = fopen(path, "rb");
	struct stat st;
	uint8_t *data;

	if (!file || fstat(fileno(file), &st)) {
		perror(path);
		exit(1);
	}

	/* just its size, so that what reads beyond it is seen */
	data = malloc((size_t)st.st_size);
	if (st.st_size && fread(data, 1, (size_t)st.st_size, file) != (size_t)st.st_size) {
		fprintf(stderr, "%s: cannot read it\n", path);
		exit(1);
	}
	fclose(file);

	(void)LLVMFuzzerTestOneInput(data, (size_t)st.st_size);
	free(data);
	printf("ok %u - %s\n", ++count, strrchr(path, '/') ? strrchr(path, '/') + 1 : path);
	fflush(stdout);
}

static int is_visible(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

static void replay_all(const char *path)
{
	struct dirent **names;
	int n = scandir(path, &names, is_visible, alphasort);

	if (n < 0 && errno == ENOTDIR) {
		replay(path);
		return;
	}
	if (n < 0) {
		perror(path);
		exit(1);
	}

	for (int i = 0; i < n; i++) {
		char *file = NULL;

		if (asprintf(&file, "%s/%s", path, names[i]->d_name) < 0)
			abort();
		replay(file);
		free(file);
		free(names[i]);
	}
	free(names);
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		replay_all(argv[i]);
	printf("1..%u\n", count);

	return !count;
}
