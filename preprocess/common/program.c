/* program: owns the words of --version and how programs name themselves and each other. Knows no options. */
#include "preprocess/common/program.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define INSTALLED "mpianist-" /* as the Makefile's install target has it */

static int lost; /* errno of the first failed g_print() */

/* Flushes at once, while errno has the cause: an MPI library may flush all streams as it ends, and then drops
 * what the disk refuses. */
static void print_bytes(const char *text) {
    if ((fputs(text, stdout) < 0 || fflush(stdout) != 0) && lost == 0) lost = errno;
}

static void print_error_bytes(const char *text) { fputs(text, stderr); }

/* Runs at exit, since GLib's --help ends there. A status other than 0 has had its message. */
static void check_output(int status, G_GNUC_UNUSED void *data) {
    if (ferror(stdout) && lost == 0) lost = EIO;
    if (fflush(stdout) != 0 && lost == 0) lost = errno;
    if (lost == 0 || status != 0) return;
    program_say("standard output: cannot write: %s\n", g_strerror(lost));
    _exit(1);
}

/* A warning is a line like any other, without GLib's process id and clock. */
static void log_line(const char *domain, GLogLevelFlags level, const char *message, void *data) {
    if (level & G_LOG_LEVEL_WARNING)
        program_say("warning: %s\n", message);
    else
        g_log_default_handler(domain, level, message, data);
}

void program_start(void) {
    g_set_prgname(program_name());
    g_log_set_default_handler(log_line, NULL);
    g_set_print_handler(print_bytes);
    g_set_printerr_handler(print_error_bytes);
    on_exit(check_output, NULL);
}

const char *program_name(void) { return program_invocation_short_name; }

const char *program_called(const char *name) {
    g_autofree char *installed = g_strconcat(INSTALLED, name, NULL);
    return g_str_has_prefix(program_name(), INSTALLED) ? g_intern_string(installed) : name;
}

void program_say(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    g_autofree char *text = g_strdup_vprintf(format, arguments),
                    *whole = g_strconcat(program_name(), ": ", text, NULL);
    va_end(arguments);
    fputs(whole, stderr);
}

GThread *program_start_thread(const char *name, GThreadFunc work, gpointer data) {
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    GThread *thread = g_thread_try_new(name, work, data, NULL);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return thread;
}

gboolean program_fail(GError **error, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    g_propagate_error(error, g_error_new_valist(g_quark_from_static_string("program"), 0, format, arguments));
    va_end(arguments);
    return FALSE;
}

const char *program_cause(const GError *error) {
    const char *last = error->domain == G_FILE_ERROR ? g_strrstr(error->message, ": ") : NULL;
    return last ? last + strlen(": ") : error->message;
}

void program_print_version(const char *name) {
    g_print("mpianist-%s " MPIANIST_VERSION
            "\nLicense MIT. There is no warranty, to the extent permitted by law.\n",
            name);
}
