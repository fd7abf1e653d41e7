/* owner: makes sure that one process alone writes in a folder, on however many hosts others run, without
 * locks of the file system, which network disks may lack.
 *
 * A mark, FOLDER/NAME.owner, says who the owner is: host, process, job, since when. It is made by link(2),
 * which one of many always wins, and a thread of the owner touches it every second. An owner whose process is
 * gone gives way at once to one on the same host, and to one on another host when the mark has not been
 * touched for a minute. To a later start of its own SLURM job it gives way even while it lives: SLURM takes
 * it for gone. An owner that was stopped or cut off meanwhile finds another's mark before its next write, and
 * stops itself. */
#pragma once

#include <glib.h>

typedef struct owner owner_t;

#define OWNER_ERROR owner_error_quark()
GQuark owner_error_quark(void);
typedef enum { OWNER_ERROR_WRITE, OWNER_ERROR_TAKEN, OWNER_ERROR_LOST } owner_error_t;

/* Makes this process the owner of NAME in a folder. Waits where it has to find out whether an owner on
 * another host lives: two seconds where it does, up to a minute where it does not. NULL with error set:
 * OWNER_ERROR_TAKEN, which says who writes there and the way out, or OWNER_ERROR_WRITE. Owner: caller. */
owner_t *owner_take(const char *folder, const char *name, GError **error);

/* What its mark says. */
const char *owner_text(const owner_t *owner);
/* Whether this process, of any host, sees in its folder the mark of NAME that says text. */
gboolean owner_sees(const char *folder, const char *name, const char *text);

/* Call it before each write: whether this process is still the owner. Costs one stat(2). FALSE with
 * OWNER_ERROR_LOST set where another took over. TRUE where owner is NULL. */
gboolean owner_check(owner_t *owner, GError **error);

/* Removes the mark, if it is still this process' own, and frees owner. NULL is allowed. */
void owner_release(owner_t *owner);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(owner_t, owner_release)
