/* owner: one of many, always; who gives way and who does not; who was cut off notices. */
#include "preprocess/common/file.h"
#include "preprocess/common/hash.h"
#include "preprocess/common/owner.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/helpers/full_disk.h"

/* What a process of its own does, and its way to tell: it never returns. */
typedef void (*child_fn)(gpointer data, int to_parent);

static pid_t start_child(child_fn fn, gpointer data, int *from_child) {
    int pipes[2];
    g_assert_cmpint(pipe2(pipes, O_CLOEXEC), ==, 0);
    pid_t pid = fork();
    g_assert_cmpint(pid, >=, 0);
    if (pid == 0) {
        close(pipes[0]);
        fn(data, pipes[1]);
        _exit(0);
    }
    close(pipes[1]);
    *from_child = pipes[0];
    return pid;
}

static void end_child(pid_t pid, int fd) {
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    close(fd);
}

static char wait_for(int fd) {
    char said = '\0';
    g_assert_cmpint(read(fd, &said, 1), ==, 1);
    return said;
}

static void say(int fd, char what) { g_assert_cmpint(write(fd, &what, 1), ==, 1); }

/* Takes the folder, and keeps it till it is killed. */
static void take_and_stay(gpointer folder, int to_parent) {
    owner_t *owner = owner_take(folder, "x", NULL);
    say(to_parent, owner ? 'y' : 'n');
    for (;;) pause();
}

/* The same on another host. */
static void take_elsewhere(gpointer folder, int to_parent) {
    if (unshare(CLONE_NEWUTS) != 0 || sethostname("h2", 2) != 0) {
        say(to_parent, 's');
        _exit(0);
    }
    take_and_stay(folder, to_parent);
}

static char *new_folder(void) {
    char *folder = g_strdup("owner-XXXXXX");
    g_assert_nonnull(g_mkdtemp(folder));
    return folder;
}

static guint count_files(const char *folder) {
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    guint n = 0;
    while (g_dir_read_name(dir)) n++;
    return n;
}

/* A mark of process 123 of job 31 on h9, last touched so many seconds ago. */
static char *foreign_mark(const char *folder, const char *text, gint64 age_s) {
    char *path = g_build_filename(folder, "x.owner", NULL);
    const gint64 then = g_get_real_time() / G_USEC_PER_SEC - age_s;
    const struct timespec times[2] = {{.tv_sec = then}, {.tv_sec = then}};
    g_assert_true(g_file_set_contents(path, text, -1, NULL));
    g_assert_cmpint(utimensat(AT_FDCWD, path, times, 0), ==, 0);
    return path;
}

#define H9 "[owner]\nhost=h9\npid=123\nstarted=5\nkernel=k\njob=31\nsince=1000000000\n"

static void test_take_and_release(void) {
    g_autofree char *folder = new_folder();
    g_autoptr(GError) error = NULL;
    owner_t *owner = owner_take(folder, "x", &error), *other = owner_take(folder, "y", NULL);
    g_assert_no_error(error);
    g_assert_nonnull(other); /* another name is another thing */
    g_assert_true(owner_check(owner, &error) && owner_check(other, &error) && owner_check(NULL, &error));
    g_assert_null(owner_take(folder, "x", &error));
    g_assert_error(error, OWNER_ERROR, OWNER_ERROR_TAKEN);
    g_autofree char *wanted = g_strdup_printf(
        "*: process %d on * writes here since *:*; wait for it, or choose another folder", (int)getpid());
    g_assert_true(g_pattern_match_simple(wanted, error->message));
    owner_release(owner);
    owner_release(other);
    owner_release(NULL);
    g_assert_cmpuint(count_files(folder), ==, 0);
}

static void test_killed(void) {
    g_autofree char *folder = new_folder();
    int fd;
    pid_t pid = start_child(take_and_stay, folder, &fd);
    g_assert_cmpint(wait_for(fd), ==, 'y');
    g_assert_null(owner_take(folder, "x", NULL)); /* while it lives */
    end_child(pid, fd);
    g_autoptr(owner_t) owner = owner_take(folder, "x", NULL);
    g_assert_nonnull(owner);
    g_assert_cmpuint(count_files(folder), ==, 1);
}

/* A process that has the number of one that is gone. */
static void test_number_used_again(void) {
    g_autofree char *folder = new_folder(), *path = g_build_filename(folder, "x.owner", NULL), *text = NULL;
    owner_t *owner = owner_take(folder, "x", NULL);
    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    owner_release(owner);
    char *started = strstr(text, "started=");
    g_assert_nonnull(started);
    started[strlen("started=")] = started[strlen("started=")] == '9' ? '8' : '9';
    g_assert_true(g_file_set_contents(path, text, -1, NULL));
    g_autoptr(owner_t) next = owner_take(folder, "x", NULL);
    g_assert_nonnull(next);
}

static void test_silent_elsewhere(void) {
    g_autofree char *folder = new_folder(), *path = foreign_mark(folder, H9, 3600);
    g_autoptr(owner_t) owner = owner_take(folder, "x", NULL);
    g_assert_nonnull(owner);
    owner_release(g_steal_pointer(&owner));
    g_autofree char *torn = foreign_mark(folder, "[ow", 3600); /* its owner was killed while it wrote */
    owner = owner_take(folder, "x", NULL);
    g_assert_nonnull(owner);
    g_assert_true(owner_check(owner, NULL));
}

static void touch_on(gpointer path, int to_parent) {
    say(to_parent, 'y');
    for (;;) {
        utimensat(AT_FDCWD, path, NULL, 0);
        g_usleep(G_USEC_PER_SEC / 4);
    }
}

static void test_alive_elsewhere(void) {
    g_autofree char *folder = new_folder(), *path = foreign_mark(folder, H9, 0);
    g_autoptr(GError) error = NULL;
    int fd;
    pid_t pid = start_child(touch_on, path, &fd);
    wait_for(fd);
    g_assert_null(owner_take(folder, "x", &error));
    end_child(pid, fd);
    g_assert_error(error, OWNER_ERROR, OWNER_ERROR_TAKEN);
    g_assert_true(g_pattern_match_simple(
        "*: job 31 on h9 (pid 123) writes here since 2001-09-09 *; wait for it, *", error->message));
}

/* Sets which SLURM job this process belongs to, and which start of it; NULL: none. */
static void set_job(const char *job, const char *restart) {
    if (job) g_setenv("SLURM_JOB_ID", job, TRUE);
    if (restart) g_setenv("SLURM_RESTART_COUNT", restart, TRUE);
    if (!job) g_unsetenv("SLURM_JOB_ID");
    if (!restart) g_unsetenv("SLURM_RESTART_COUNT");
}

/* Takes the folder as the first start of job 31, and says what became of it once it was told to look. */
static void take_first(gpointer folder, int to_parent) {
    g_autoptr(GError) error = NULL;
    set_job("31", NULL);
    owner_t *owner = owner_take(folder, "x", NULL);
    say(to_parent, owner ? 'y' : 'n');
    while (owner_check(owner, &error)) g_usleep(G_USEC_PER_SEC / 100);
    const gboolean good =
        g_error_matches(error, OWNER_ERROR, OWNER_ERROR_LOST) &&
        g_pattern_match_simple(
            "*: job 31, restart 1, on * took over at ??:??, since SLURM has started the job "
            "again; it stops here and leaves the rest to others",
            error->message);
    say(to_parent, good ? 'y' : 'n');
    for (;;) pause();
}

/* On the same host, too; and the earlier start has stopped when the later one may begin to write. */
static void test_started_again(void) {
    g_autofree char *folder = new_folder();
    int fd;
    pid_t pid = start_child(take_first, folder, &fd);
    g_assert_cmpint(wait_for(fd), ==, 'y');
    set_job("31", "1");
    g_autoptr(owner_t) owner = owner_take(folder, "x", NULL);
    set_job(NULL, NULL);
    struct pollfd told = {.fd = fd, .events = POLLIN};
    g_assert_cmpint(poll(&told, 1, 0), ==, 1);
    g_assert_cmpint(wait_for(fd), ==, 'y');
    end_child(pid, fd);
    g_assert_nonnull(owner);
}

static void test_another_host(void) {
    g_autofree char *folder = new_folder();
    g_autoptr(GError) error = NULL;
    int fd;
    pid_t pid = start_child(take_elsewhere, folder, &fd);
    if (wait_for(fd) == 's') {
        end_child(pid, fd);
        g_test_skip("another host's name needs root");
        return;
    }
    g_assert_null(owner_take(folder, "x", &error));
    end_child(pid, fd);
    g_assert_error(error, OWNER_ERROR, OWNER_ERROR_TAKEN);
    g_assert_nonnull(strstr(error->message, " on h2 writes here since "));
}

static void test_cut_off(void) {
    g_autofree char *folder = new_folder(), *other = g_build_filename(folder, "other", NULL),
                    *path = g_build_filename(folder, "x.owner", NULL);
    g_autoptr(GError) error = NULL;
    owner_t *owner = owner_take(folder, "x", NULL);
    g_assert_true(g_file_set_contents(other, H9, -1, NULL));
    g_assert_cmpint(rename(other, path), ==, 0);
    g_assert_false(owner_check(owner, &error));
    g_assert_error(error, OWNER_ERROR, OWNER_ERROR_LOST);
    g_assert_true(
        g_pattern_match_simple("*: job 31 on h9 (pid 123) took over at *; it stops here *", error->message));
    owner_release(owner);
    g_assert_true(g_file_test(path, G_FILE_TEST_EXISTS)); /* the other's */
}

/* Somebody has removed the mark: it is made again. */
static void test_removed(void) {
    g_autofree char *folder = new_folder(), *path = g_build_filename(folder, "x.owner", NULL);
    g_autoptr(owner_t) owner = owner_take(folder, "x", NULL);
    g_assert_cmpint(unlink(path), ==, 0);
    g_assert_true(owner_check(owner, NULL));
    g_assert_true(g_file_test(path, G_FILE_TEST_EXISTS));
    g_assert_true(owner_check(owner, NULL));
    g_assert_null(owner_take(folder, "x", NULL));
}

/* The text of the mark of a process that was killed, whose folder is given: the mark stays there. */
static char *killed_mark(char *folder) {
    g_autofree char *path = g_build_filename(folder, "x.owner", NULL);
    char *text = NULL;
    int fd;
    pid_t pid = start_child(take_and_stay, folder, &fd);
    g_assert_cmpint(wait_for(fd), ==, 'y');
    end_child(pid, fd);
    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    return text;
}

/* One that was killed just as it took over from another that was killed: its claim is taken over, too. */
static void test_claim(void) {
    g_autofree char *folder = new_folder(), *other = new_folder(), *gone = killed_mark(folder),
                    *heir = killed_mark(other);
    char hex[HASH_HEX_BYTES];
    hash_sha256("", 0, gone, strlen(gone), hex);
    g_autofree char *claim = g_strdup_printf("%s/x.owner.%.16s.tmp", folder, hex);
    g_assert_true(g_file_set_contents(claim, heir, -1, NULL));
    g_autoptr(owner_t) owner = owner_take(folder, "x", NULL);
    g_assert_true(owner && owner_check(owner, NULL));
    g_assert_cmpuint(count_files(folder), ==, 1);
}

/* One that is alive has the claim: nobody else takes over until it is given back. */
static void test_claimed(void) {
    g_autofree char *folder = new_folder(), *other = new_folder(), *gone = killed_mark(folder), *text = NULL;
    g_autofree char *path = g_build_filename(other, "x.owner", NULL);
    char hex[HASH_HEX_BYTES];
    int fd, heir_fd;
    pid_t heir = start_child(take_and_stay, other, &heir_fd);
    g_assert_cmpint(wait_for(heir_fd), ==, 'y');
    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    hash_sha256("", 0, gone, strlen(gone), hex);
    g_autofree char *claim = g_strdup_printf("%s/x.owner.%.16s.tmp", folder, hex);
    g_assert_true(g_file_set_contents(claim, text, -1, NULL));
    pid_t waiting = start_child(take_and_stay, folder, &fd);
    struct pollfd told = {.fd = fd, .events = POLLIN};
    g_assert_cmpint(poll(&told, 1, 200), ==, 0);
    g_assert_cmpint(unlink(claim), ==, 0);
    g_assert_cmpint(wait_for(fd), ==, 'y');
    end_child(waiting, fd);
    end_child(heir, heir_fd);
}

/* Waits at the gate, then takes the folder. */
typedef struct {
    const char *folder;
    int gate;
} race_t;

static void run_race(gpointer data, int to_parent) {
    const race_t *race = data;
    char go;
    if (read(race->gate, &go, 1) < 0) _exit(1);
    owner_t *owner = owner_take(race->folder, "x", NULL);
    const gboolean won = owner != NULL;
    say(to_parent, won ? 'y' : 'n');
    for (;;) pause(); /* who has won is there until all have tried */
}

/* Eight at once, where nobody was and where one was who is gone. */
static void test_race(void) {
    enum { ROUNDS = 60, RUNNERS = 8 };
    g_autofree char *folder = new_folder();
    for (int round = 0; round < ROUNDS; round++) {
        int gate[2], fds[RUNNERS], winners = 0;
        pid_t pids[RUNNERS];
        if (round % 2 == 0) { /* in other rounds the last winner's mark is there */
            g_autofree char *path = g_build_filename(folder, "x.owner", NULL);
            unlink(path);
        }
        g_assert_cmpint(pipe2(gate, O_CLOEXEC), ==, 0);
        race_t race = {folder, gate[0]};
        for (int i = 0; i < RUNNERS; i++) pids[i] = start_child(run_race, &race, &fds[i]);
        g_assert_cmpint(write(gate[1], "........", RUNNERS), ==, RUNNERS);
        for (int i = 0; i < RUNNERS; i++) winners += wait_for(fds[i]) == 'y';
        g_assert_cmpint(winners, ==, 1);
        for (int i = 0; i < RUNNERS; i++) end_child(pids[i], fds[i]);
        close(gate[0]);
        close(gate[1]);
    }
    g_autoptr(owner_t) owner = owner_take(folder, "x", NULL);
    g_assert_cmpuint(count_files(folder), ==, 1); /* and what the killed ones left is gone */
}

static void test_no_room(void) {
    g_autofree char *folder = new_folder();
    g_autoptr(GError) error = NULL;
    const struct rlimit old = full_disk_begin(0);
    owner_t *owner = owner_take(folder, "x", &error);
    full_disk_end(old);
    g_assert_null(owner);
    g_assert_error(error, OWNER_ERROR, OWNER_ERROR_WRITE);
    g_assert_true(g_pattern_match_simple(
        "*/x.owner: cannot write: File too large; choose another folder, or free some space",
        error->message));
    g_assert_cmpuint(count_files(folder), ==, 0);
}

static void test_temporary(void) {
    g_autofree char *folder = new_folder(), *path = g_build_filename(folder, "name", NULL),
                    *temporary = file_temporary(path);
    g_autofree char *wanted = g_strdup_printf("%s.*-%d.tmp", path, (int)getpid());
    g_assert_true(g_pattern_match_simple(wanted, temporary));
    g_autofree char *other = g_build_filename(folder, "other.h-1.tmp", NULL),
                    *kept = g_build_filename(folder, "name.kept", NULL);
    for (int i = 0; i < 3; i++)
        g_assert_true(g_file_set_contents((const char *[]){temporary, other, kept}[i], "x", 1, NULL));
    file_sweep(folder, "name", NULL, NULL);
    g_assert_false(g_file_test(temporary, G_FILE_TEST_EXISTS));
    g_assert_true(g_file_test(other, G_FILE_TEST_EXISTS) && g_file_test(kept, G_FILE_TEST_EXISTS));
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    set_job(NULL, NULL); /* that of whoever tests */
    g_test_add_func("/owner/take-and-release", test_take_and_release);
    g_test_add_func("/owner/killed", test_killed);
    g_test_add_func("/owner/number-used-again", test_number_used_again);
    g_test_add_func("/owner/silent-elsewhere", test_silent_elsewhere);
    g_test_add_func("/owner/alive-elsewhere", test_alive_elsewhere);
    g_test_add_func("/owner/started-again", test_started_again);
    g_test_add_func("/owner/another-host", test_another_host);
    g_test_add_func("/owner/cut-off", test_cut_off);
    g_test_add_func("/owner/removed", test_removed);
    g_test_add_func("/owner/claim", test_claim);
    g_test_add_func("/owner/claimed", test_claimed);
    g_test_add_func("/owner/race", test_race);
    g_test_add_func("/owner/no-room", test_no_room);
    g_test_add_func("/owner/temporary", test_temporary);
    return g_test_run();
}
