/* file: the name that a file has while it is written, and what makes a finished one stay. */
#pragma once

#include <glib.h>
#include <stdint.h>
#include <sys/types.h>

/* This host's name as it is now; what is no letter, digit, '.' or '-' becomes '_'. Owner: caller. */
char *file_host_name(void);

/* PATH.HOST-PID.tmp: a temporary name that no other process has. Owner: caller. */
char *file_temporary(const char *path);
/* The temporary name that process `pid` of this host gives to path. Owner: caller. */
char *file_temporary_of(const char *path, pid_t pid);

/* Removes from a folder the temporaries of files whose names begin with `prefix`: all of them where goes is
 * NULL, else those for which it returns TRUE. Only the owner of these names may call it. */
void file_sweep(const char *folder, const char *prefix,
                gboolean (*goes)(const char *path, gconstpointer data), gconstpointer data);

/* "PATH: cannot DOING: errno's cause; WAY OUT". Returns FALSE. */
gboolean file_fail(GError **error, const char *path, const char *doing, const char *way_out);

/* Writes all bytes to the file, from `offset` on. FALSE with errno set. */
gboolean file_write_at(int fd, int64_t offset, const void *bytes, size_t size);

/* Makes sure that the folder of path, and so a rename to path, is on disk. FALSE with errno set. */
gboolean file_sync_folder_of(const char *path);

/* Writes a file that is there whole or not at all, in the place of one of that name. FALSE with errno set. */
gboolean file_replace(const char *path, const void *bytes, size_t size);

/* The same for one of many files: it does not wait for the disk, so that a machine that fails may lose the
 * file, or leave it empty, until file_sync_all() has been called. */
gboolean file_replace_unsynced(const char *path, const void *bytes, size_t size);
/* Makes sure that n files of one folder, and so their names, are on disk; those that are no longer there
 * count for nothing. Many files wait for the disk once, not once each, where the system can. FALSE with error
 * set: the file or the folder, cause, way_out. */
gboolean file_sync_all(char *const *paths, size_t n, const char *way_out, GError **error);

/* Opens a file for reading and writing, made or emptied by O_EXCL or O_TRUNC, with a text. -1 with errno set:
 * the file is then not there. */
int file_write_text(const char *path, int flags, const char *text);
/* Gives the file `temporary`, which has one name and is open as fd, the name `path` too, where that is free:
 * one process alone can. Network disks may say that it failed where it did not: two names are the proof. On
 * disks without links `path` is made with the text, which comes a moment later. The file, open; -1 with errno
 * set, EEXIST where another was first. */
int file_place(const char *temporary, int fd, const char *path, const char *text);
