/* owner: who writes in a folder: one process, whatever the number of hosts, without locks of the file system,
 * which network disks may lack.
 *
 * A mark, FOLDER/NAME.owner, made by link(2), which one of many always wins, says who it is: host, process,
 * job, since when. A thread of the owner touches it every second. One whose process is gone gives way at once
 * on the same host; on another host once it has not been touched for a minute. An owner that was stopped or
 * cut off meanwhile finds another's mark when it looks, before its next write, and stops itself. */
#pragma once

#include <glib.h>

typedef struct owner owner_t;

#define OWNER_ERROR owner_error_quark()
GQuark owner_error_quark(void);
typedef enum { OWNER_ERROR_WRITE, OWNER_ERROR_TAKEN, OWNER_ERROR_LOST } owner_error_t;

/* Makes this process the owner of NAME in a folder. Waits where it has to find out whether an owner on
 * another host lives: two seconds where it does, up to a minute where it does not. NULL with error set:
 * OWNER_ERROR_TAKEN says who writes there and the way out. Owner: caller. */
owner_t *owner_take(const char *folder, const char *name, GError **error);

/* Before each write: still the owner? Costs one stat(2). FALSE with OWNER_ERROR_LOST set where another took
 * over. NULL is always the owner. */
gboolean owner_check(owner_t *owner, GError **error);

/* Gives the mark back, if it is still one's own. NULL is allowed. */
void owner_release(owner_t *owner);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(owner_t, owner_release)
