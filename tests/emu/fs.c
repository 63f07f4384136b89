// SPDX-License-Identifier: GPL-2.0-or-later
/* The file tree of the fake kernel, in memory. */
#include "emu_internal.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_LINKS 16
#define PATH_MAX_LEN 512

static struct node *root;

static void node_free(struct node *node)
{
	while (node->child) {
		struct node *child = node->child;

		node->child = child->next;
		node_free(child);
	}
	free(node->name);
	free(node->data);
	free(node);
}

static struct node *node_add(struct node *dir, const char *name, size_t len, enum node_type type)
{
	struct node *node = emu_zalloc(sizeof(*node)), **end = &dir->child;

	node->type = type;
	node->name = emu_zalloc(len + 1);
	memcpy(node->name, name, len);
	node->parent = dir;
	while (*end)
		end = &(*end)->next;
	*end = node;

	return node;
}

static struct node *node_child(struct node *dir, const char *name, size_t len)
{
	for (struct node *n = dir->child; n; n = n->next) {
		if (!strncmp(n->name, name, len) && !n->name[len])
			return n;
	}

	return NULL;
}

static struct node *fs_fail(int err)
{
	errno = err;
	return NULL;
}

/* A walk that makes or removes sees what an option hides from others. */
enum how {
	FOLLOW = 1 << 0,
	HIDDEN = 1 << 1,
};

bool fs_hidden(const struct node *node)
{
	return node->absent && node->absent();
}

static struct node *walk(struct node *at, const char *path, unsigned int how, int links);

static struct node *step(struct node *dir, const char *name, size_t len, unsigned int how,
			 int links)
{
	struct node *next;

	if (dir->type != NODE_DIR)
		return fs_fail(ENOTDIR);
	if (!len || (len == 1 && *name == '.'))
		return dir;
	if (len == 2 && !strncmp(name, "..", 2))
		return dir->parent;

	next = node_child(dir, name, len);
	if (!next || (fs_hidden(next) && !(how & HIDDEN)))
		return fs_fail(ENOENT);
	if (next->type != NODE_LINK || !(how & FOLLOW))
		return next;
	if (links >= MAX_LINKS)
		return fs_fail(ELOOP);

	return walk(dir, next->data, how | FOLLOW, links + 1);
}

static struct node *walk(struct node *at, const char *path, unsigned int how, int links)
{
	if (*path == '/')
		at = root;
	while (at && *path) {
		size_t len = strcspn(path, "/");
		size_t skip = len + strspn(path + len, "/");

		at = step(at, path, len, path[skip] ? how | FOLLOW : how, links);
		path += skip;
	}

	return at;
}

struct node *fs_lookup(const char *path, bool follow)
{
	if (*path != '/')
		return fs_fail(ENOENT);

	return walk(root, path, follow ? FOLLOW : 0, 0);
}

/* Directories on the way are made too; those may be links. */
struct node *fs_make(const char *path, enum node_type type)
{
	struct node *at = root;

	for (path += strspn(path, "/"); *path;) {
		size_t len = strcspn(path, "/");
		size_t skip = len + strspn(path + len, "/");
		bool last = !path[skip];
		struct node *next = step(at, path, len, last ? HIDDEN : HIDDEN | FOLLOW, 0);

		if (!next)
			next = node_add(at, path, len, last ? type : NODE_DIR);
		at = next;
		path += skip;
	}

	return at;
}

void fs_remove(const char *path)
{
	struct node *node = walk(root, path, HIDDEN, 0), **link;

	if (!node || node == root)
		return;
	for (link = &node->parent->child; *link != node; link = &(*link)->next)
		;
	*link = node->next;
	node_free(node);
}

void fs_set(struct node *node, const void *data, size_t len)
{
	char *copy = emu_zalloc(len + 1);

	memcpy(copy, data, len);
	free(node->data);
	node->data = copy;
	node->len = len;
}

struct node *fs_printf(const char *path, const char *fmt, ...)
{
	struct node *node = fs_make(path, NODE_FILE);
	char text[PATH_MAX_LEN];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	fs_set(node, text, strlen(text));

	return node;
}

struct node *fs_attr(const char *path, int (*store)(void *, const char *), void *priv)
{
	struct node *node = fs_printf(path, "%s", "");

	node->store = store;
	node->priv = priv;

	return node;
}

struct node *fs_device(const char *path, int (*open)(void *, int), void *priv, bool (*absent)(void))
{
	struct node *node = fs_make(path, NODE_FILE);

	node->open = open;
	node->priv = priv;
	node->absent = absent;

	return node;
}

void fs_init(void)
{
	root = emu_zalloc(sizeof(*root));
	root->name = emu_strdup("");
	root->parent = root;
	fs_make("/dev", NODE_DIR);
	fs_make("/proc/self", NODE_DIR);
	fs_make("/run", NODE_DIR);
	fs_make("/sys", NODE_DIR);
	fs_make("/sys/block", NODE_DIR);
	fs_printf("/proc/mounts", "%s", "");
	fs_printf("/proc/self/mounts", "%s", "");
	fs_printf("/proc/self/mountinfo", "%s", "");
	fs_printf("/proc/swaps", "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n");
}

void fs_fini(void)
{
	node_free(root);
	root = NULL;
}

/* ------------------------------------------------------------- for tests */

void emu_dir(const char *path)
{
	emu_autolock();
	fs_make(path, NODE_DIR);
}

void emu_file(const char *path, const char *content)
{
	emu_autolock();
	fs_set(fs_make(path, NODE_FILE), content, strlen(content));
}

void emu_link(const char *path, const char *target)
{
	emu_autolock();
	fs_set(fs_make(path, NODE_LINK), target, strlen(target));
}

void emu_remove(const char *path)
{
	emu_autolock();
	fs_remove(path);
}

void emu_file_error(const char *path, int err)
{
	emu_autolock();
	fs_make(path, NODE_FILE)->err = err;
}

const char *emu_file_content(const char *path)
{
	struct node *node;

	emu_autolock();
	node = fs_lookup(path, true);

	return node && node->type == NODE_FILE ? node->data : NULL;
}
