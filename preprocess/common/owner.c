/* owner: owns the marks that say who writes in a folder, and when an owner counts as gone. Trusts no lock and
 * no host's clock: an age is the difference of two times that the folder's own file system gave. */
#include "preprocess/common/owner.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "preprocess/common/file.h"
#include "preprocess/common/hash.h"
#include "preprocess/common/owner_mark.h"
#include "preprocess/common/program.h"

G_DEFINE_QUARK(mpianist_owner_error, owner_error)

enum { MARK_BYTES = 1024 };
#define BEAT_S     1.0  /* between two touches of the mark */
#define WATCH_S    2.5  /* a mark is watched for this long before its owner may count as gone */
#define PATIENCE_S 60.0 /* an owner on another host that has not touched its mark for this long is gone */

/* A mark as it was found. */
typedef struct {
    char text[MARK_BYTES];
    struct stat status;
} mark_t;

struct owner {
    char *folder, *path, *text;
    int fd;             /* of the mark */
    struct stat status; /* of the mark when it was made or found to be there last */
    double heard_s;     /* now_s() when it was touched last */
    GMutex lock;        /* guards fd and all below it */
    GCond changed;
    gboolean beating, stopping;
    gint doubt; /* atomic: the thread did not find its own mark when it looked last */
    GThread *beat;
};

static gboolean fail(GError **error, const char *path, const char *doing) {
    const int cause = errno;
    g_autofree char *shown = g_filename_display_name(path);
    g_set_error(error, OWNER_ERROR, OWNER_ERROR_WRITE,
                "%s: cannot %s: %s; choose another folder, or free some space", shown, doing,
                g_strerror(cause));
    return FALSE;
}

static double seconds(const struct timespec *time) {
    return (double)time->tv_sec + 1e-9 * (double)time->tv_nsec;
}

/* A clock that goes on while the host sleeps, and while this process is stopped. */
static double now_s(void) {
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    return seconds(&now);
}

static gboolean is_same_file(const struct stat *a, const struct stat *b) {
    return a->st_ino == b->st_ino && a->st_dev == b->st_dev;
}

/* ---- marks ---- */

/* Opens the file anew each time, since only then network disks ask the server. FALSE with errno set. */
static gboolean read_mark(const char *path, mark_t *mark) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return FALSE;
    ssize_t n = read(fd, mark->text, sizeof mark->text - 1);
    const gboolean good = n >= 0 && fstat(fd, &mark->status) == 0;
    const int cause = errno;
    close(fd);
    errno = cause;
    if (good) mark->text[n] = '\0';
    return good;
}

/* ---- the beat ---- */

/* Touches the mark. Must not allocate: the process may fork meanwhile, and its child would find the allocator
 * locked. */
static void touch(owner_t *owner) {
    struct stat status;
    int fd = open(owner->path, O_RDONLY | O_CLOEXEC);
    const gboolean own = fd >= 0 && fstat(fd, &status) == 0 && is_same_file(&status, &owner->status);
    if (fd >= 0) close(fd);
    if (own && futimens(owner->fd, NULL) == 0)
        owner->heard_s = now_s();
    else
        g_atomic_int_set(&owner->doubt, 1);
}

static gpointer beat(gpointer data) {
    owner_t *owner = data;
    g_mutex_lock(&owner->lock);
    owner->beating = TRUE;
    g_cond_signal(&owner->changed);
    while (!owner->stopping) {
        const gint64 next = g_get_monotonic_time() + (gint64)(BEAT_S * G_USEC_PER_SEC);
        while (!owner->stopping && g_cond_wait_until(&owner->changed, &owner->lock, next)) {
        }
        if (!owner->stopping) touch(owner);
    }
    g_mutex_unlock(&owner->lock);
    return NULL;
}

/* Waits until the thread runs: one that begins allocates, and a child forked at that moment would find the
 * allocator locked for ever. */
static gboolean start_beat(owner_t *owner) {
    owner->beat = program_start_thread("owner", beat, owner);
    g_mutex_lock(&owner->lock);
    while (owner->beat && !owner->beating) g_cond_wait(&owner->changed, &owner->lock);
    g_mutex_unlock(&owner->lock);
    return owner->beat != NULL;
}

/* ---- take, check, release ---- */

/* Takes the mark that is open as fd for this process' own. */
static void become(owner_t *owner, int fd) {
    if (owner->fd >= 0) close(owner->fd);
    owner->fd = fd;
    fstat(fd, &owner->status);
    owner->heard_s = now_s();
    g_atomic_int_set(&owner->doubt, 0);
}

/* A mark as it was seen first, and when that was, to tell by its age whether its owner is gone. */
typedef struct {
    mark_t first;
    double since_s;
} watch_t;

/* Whether the owner of this mark is gone; where that cannot be told yet, waits a little. */
static life_t judge(const owner_t *owner, const mark_t *mark, watch_t *watch, int clock_fd) {
    struct stat status = {0};
    const life_t life = owner_mark_life(mark->text, owner->text);
    if (life != LIFE_ELSEWHERE) return life;
    if (watch->since_s == 0 || strcmp(watch->first.text, mark->text) != 0)
        *watch = (watch_t){.first = *mark, .since_s = now_s()};
    const double touched_s = seconds(&mark->status.st_mtim);
    if (touched_s != seconds(&watch->first.status.st_mtim)) return LIFE_THERE;
    futimens(clock_fd, NULL);
    fstat(clock_fd, &status);
    const double age_s = seconds(&status.st_mtim) - touched_s;
    if (age_s > PATIENCE_S && now_s() - watch->since_s > WATCH_S) return LIFE_GONE;
    g_usleep(G_USEC_PER_SEC / 10);
    return LIFE_ELSEWHERE;
}

static gboolean gives_way(life_t life) { return life == LIFE_GONE || life == LIFE_EARLIER; }

/* Puts this process' mark in the place of a mark whose owner gives way. Several processes may find that at
 * once, and some of them late: the file named after the gone mark is a claim that one alone can hold, and its
 * holder looks whether the gone mark is still there. Then the claim becomes the mark. A claim whose holder is
 * gone is taken over in the same way. An open mark; -1: look again. */
static int take_over(const owner_t *owner, const char *temporary, int fd, const char *path,
                     const mark_t *gone, watch_t *watch) {
    char hex[HASH_HEX_BYTES];
    mark_t mark;
    hash_sha256("", 0, gone->text, strlen(gone->text), hex);
    g_autofree char *claim = g_strdup_printf("%s.%.16s.tmp", owner->path, hex);
    int own = file_place(temporary, fd, claim, owner->text);
    if (own < 0 && errno == EEXIST && read_mark(claim, &mark) && gives_way(judge(owner, &mark, watch, fd)))
        own = take_over(owner, temporary, fd, claim, &mark, watch);
    if (own < 0) return g_usleep(G_USEC_PER_SEC / 1000), -1;
    if (read_mark(path, &mark) && strcmp(mark.text, gone->text) == 0 && rename(claim, path) == 0) return own;
    unlink(claim);
    close(own);
    return -1;
}

/* Tries until the mark is made or a living owner is found. An open mark, or -1 with error set. */
static int contend(const owner_t *owner, const char *temporary, int fd, GError **error) {
    mark_t mark;
    watch_t watch = {.since_s = 0}, claim_watch = {.since_s = 0};
    for (;;) {
        int own = file_place(temporary, fd, owner->path, owner->text);
        if (own < 0 && errno != EEXIST) return fail(error, owner->path, "write"), -1;
        if (own >= 0) return own;
        if (!read_mark(owner->path, &mark)) {
            if (errno == ENOENT) continue; /* released just now */
            return fail(error, owner->path, "read"), -1;
        }
        const life_t life = judge(owner, &mark, &watch, fd);
        if (gives_way(life)) own = take_over(owner, temporary, fd, owner->path, &mark, &claim_watch);
        if (own >= 0 && life == LIFE_EARLIER)
            g_usleep((gulong)(WATCH_S * G_USEC_PER_SEC)); /* its writes end */
        if (own >= 0) return own;
        if (life != LIFE_THERE) continue;
        g_autofree char *who = owner_mark_describe(mark.text, "writes here since"),
                        *shown = g_filename_display_name(owner->folder);
        g_set_error(error, OWNER_ERROR, OWNER_ERROR_TAKEN, "%s: %s; wait for it, or choose another folder",
                    shown, who);
        return -1;
    }
}

/* Calls contend() with the temporary that it needs. */
static int make_mark(const owner_t *owner, GError **error) {
    g_autofree char *temporary = file_temporary(owner->path);
    int fd = file_write_text(temporary, O_TRUNC, owner->text);
    if (fd < 0) return fail(error, owner->path, "write"), -1;
    int own = contend(owner, temporary, fd, error);
    unlink(temporary);
    close(fd);
    return own;
}

static void owner_free(owner_t *owner) {
    if (owner->fd >= 0) close(owner->fd);
    g_mutex_clear(&owner->lock);
    g_cond_clear(&owner->changed);
    g_free(owner->folder);
    g_free(owner->path);
    g_free(owner->text);
    g_free(owner);
}

/* Whether a temporary was left behind by a process that was killed. Its text says whose it is, or, where that
 * was not written yet or only in part, its name. */
static gboolean is_leftover(const char *path, gconstpointer data) {
    const owner_t *owner = data;
    mark_t mark;
    if (!read_mark(path, &mark)) return FALSE;
    const char *last_line = strstr(mark.text, "\nsince=");
    if (last_line && strchr(last_line + 1, '\n')) return owner_mark_life(mark.text, owner->text) == LIFE_GONE;
    const char *dash = strrchr(path, '-');
    const int pid = dash ? atoi(dash + 1) : 0;
    g_autofree char *here = file_temporary_of(owner->path, pid);
    return strcmp(path, here) == 0 && owner_mark_process_start(pid) == 0;
}

owner_t *owner_take(const char *folder, const char *name, GError **error) {
    owner_t *owner = g_new0(owner_t, 1);
    owner->folder = g_strdup(folder);
    owner->path = g_strdup_printf("%s/%s.owner", folder, name);
    owner->text = owner_mark_new();
    owner->fd = -1;
    g_mutex_init(&owner->lock);
    g_cond_init(&owner->changed);
    int fd = make_mark(owner, error);
    if (fd < 0) return owner_free(owner), NULL;
    become(owner, fd);
    if (!start_beat(owner)) {
        fail(error, owner->path, "keep up");
        return owner_release(owner), NULL;
    }
    g_autofree char *mark = g_path_get_basename(owner->path);
    file_sweep(folder, mark, is_leftover, owner);
    return owner;
}

/* Whether this process is still the owner, though its mark is gone or is another file. */
static gboolean look_closer(owner_t *owner, GError **error) {
    mark_t mark;
    g_mutex_lock(&owner->lock);
    gboolean there = read_mark(owner->path, &mark), good = there && strcmp(mark.text, owner->text) == 0;
    const double silence_s = now_s() - owner->heard_s;
    if (good) {
        g_atomic_int_set(&owner->doubt, 0);
        owner->status = mark.status;
    } else if (!there && errno == ENOENT && silence_s < WATCH_S) {
        /* Nobody takes over so soon: somebody has removed the file. */
        int fd = make_mark(owner, error);
        good = fd >= 0;
        if (good) become(owner, fd);
    } else {
        g_autofree char *shown = g_filename_display_name(owner->folder);
        g_autofree char *who = there ? owner_mark_describe(mark.text, "took over at")
                                     : g_strdup("the mark of who writes here is gone");
        g_autofree char *why =
            there && owner_mark_is_earlier(owner->text, mark.text)
                ? g_strdup("since SLURM has started the job again")
                : g_strdup_printf("when this process had not been heard of for %.0f s", silence_s);
        g_set_error(error, OWNER_ERROR, OWNER_ERROR_LOST,
                    "%s: %s, %s; it stops here and leaves the rest to others", shown, who, why);
    }
    g_mutex_unlock(&owner->lock);
    return good;
}

const char *owner_text(const owner_t *owner) { return owner->text; }

gboolean owner_sees(const char *folder, const char *name, const char *text) {
    g_autofree char *path = g_strdup_printf("%s/%s.owner", folder, name);
    mark_t mark;
    return read_mark(path, &mark) && strcmp(mark.text, text) == 0;
}

gboolean owner_check(owner_t *owner, GError **error) {
    struct stat status;
    if (!owner) return TRUE;
    if (!g_atomic_int_get(&owner->doubt) && stat(owner->path, &status) == 0 &&
        is_same_file(&status, &owner->status))
        return TRUE;
    return look_closer(owner, error);
}

void owner_release(owner_t *owner) {
    mark_t mark;
    if (!owner) return;
    g_mutex_lock(&owner->lock);
    owner->stopping = TRUE;
    g_cond_signal(&owner->changed);
    g_mutex_unlock(&owner->lock);
    if (owner->beat) g_thread_join(owner->beat);
    if (read_mark(owner->path, &mark) && strcmp(mark.text, owner->text) == 0) unlink(owner->path);
    owner_free(owner);
}
