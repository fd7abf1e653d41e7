/* program: what the three programs share as programs: the names that they are called by, --version, and an
 * exit status that tells where output was lost. */
#pragma once

#include <glib.h>

/* Exit statuses. EXIT_STOPPED_EARLY: stopped with a checkpoint, submit again (sysexits' EX_TEMPFAIL). */
enum { EXIT_DONE = 0, EXIT_ERROR = 1, EXIT_USAGE = 2, EXIT_STOPPED_EARLY = 75 };

/* Call it first in main(). From then on GLib prints bytes as they are (it would write ? for what the locale
 * lacks, and a container often has none), its warnings go through program_say(), and a program that would end
 * with status 0 though output was lost, as on a full disk, says so and ends with 1. */
void program_start(void);

/* The name that this program was called by, without folders: "trainer", or once installed
 * "mpianist-trainer". */
const char *program_name(void);
/* The name of another program, such as "preprocess", called the way this one was: "mpianist-preprocess" once
 * installed. Static. */
const char *program_called(const char *name);

/* Prints to standard error, program_name() first, in one piece: a launcher writes between pieces. */
void program_say(const char *format, ...) G_GNUC_PRINTF(1, 2);

/* The cause alone of one of GLib's errors about a file, without the file's name, which GLib puts first and
 * callers add themselves. Owner: error. */
const char *program_cause(const GError *error);

/* Starts a thread that leaves all signals to the main thread. NULL if the system has none to give. Owner:
 * caller (g_thread_join()). */
GThread *program_start_thread(const char *name, GThreadFunc work, gpointer data);

/* Sets an error for people to read, with no code that callers could tell apart. Returns FALSE. */
gboolean program_fail(GError **error, const char *format, ...) G_GNUC_PRINTF(2, 3);

/* Prints what --version says. name: "trainer" and so on. */
void program_print_version(const char *name);
