/* owner_mark: what the mark of an owner says: host, process, SLURM job and which start of it, since when; and
 * what follows from it for a process that would like to be the owner. Local. */
#pragma once

#include <glib.h>

/* The text of a mark of this process. Owner: caller. */
char *owner_mark_new(void);

/* Turns a mark's text into "job 31 on h1 (pid 123) WHAT 12:30", or "job 31, restart 2, on ...". Owner:
 * caller. */
char *owner_mark_describe(const char *text, const char *what);

/* Whether both marks are of one SLURM job, and `text` is of a start of it before that of `than`. SLURM starts
 * a job again where it takes the earlier start for gone, though that may live, on a host that is cut off. */
gboolean owner_mark_is_earlier(const char *text, const char *than);

typedef enum {
    LIFE_THERE,
    LIFE_GONE,
    LIFE_EARLIER,  /* alive or not, it has to give way: owner_mark_is_earlier() */
    LIFE_ELSEWHERE /* on another host or in another container: it cannot be seen from here */
} life_t;

/* Whether the process that a mark names lives, seen by the process whose mark is `own`. */
life_t owner_mark_life(const char *text, const char *own);

/* When a process of this host was started, in the kernel's ticks; 0 where it is gone. */
guint64 owner_mark_process_start(gint64 pid);
