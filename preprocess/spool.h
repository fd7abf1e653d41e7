/* spool: what a run has parsed so far, on disk: DIR/preprocess.spool. A run that was killed goes on from here, and memory holds no rolls.
 *
 * Append-only records, each under a SHA-256: a torn last one is cut when the file is opened. One process at a time (flock). */
#ifndef MPIANIST_PREPROCESS_SPOOL_H
#define MPIANIST_PREPROCESS_SPOOL_H

#include "preprocess/entry.h"

typedef struct spool spool_t;

#define SPOOL_ERROR spool_error_quark()
GQuark spool_error_quark(void);
typedef enum { SPOOL_ERROR_OPEN, SPOOL_ERROR_LOCKED, SPOOL_ERROR_WRITE, SPOOL_ERROR_READ } spool_error_t;

/* Opens or makes folder's spool. Records under another grid than `grid` are of no use and are cut. NULL with error set. Owner: caller. */
spool_t *spool_open(const char *folder, const grid_t *grid, GError **error);
/* The entry of a file as it is now (path, size, time of change), and where its bits lie; FALSE where it is not there. */
gboolean spool_find(spool_t *spool, const char *path, entry_t *entry, gint64 *offset);
/* Adds an entry; bits may be NULL where it is not kept. *offset: where the bits lie. FALSE with error set (a full disk by name). */
gboolean spool_add(spool_t *spool, const char *path, const entry_t *entry, const GByteArray *bits, gint64 *offset, GError **error);
gboolean spool_read(spool_t *spool, gint64 offset, uint8_t *bits, size_t bytes, GError **error);
/* Closes; removes the file where done is TRUE. NULL is allowed. */
void spool_close(spool_t *spool, gboolean done);

#endif
