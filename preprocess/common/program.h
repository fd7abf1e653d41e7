/* program: what the three programs share as programs: the names that they are called by, --version, and an
 * exit status that tells where output was lost. */
#pragma once

#include <glib.h>

/* Exit statuses. Stopped early, with a checkpoint: submit again (sysexits' EX_TEMPFAIL). */
enum { EXIT_DONE = 0, EXIT_ERROR = 1, EXIT_USAGE = 2, EXIT_STOPPED_EARLY = 75 };

/* First of all in main(). GLib's printing passes bytes as they are: it would write ? for what the locale
 * lacks, and a container often has none. Its warnings are lines of program_say(). A program that would end
 * with status 0 though standard output took not all, as on a full disk, says so and ends with 1. */
void program_start(void);

/* What this program was called by, without folders: "trainer", or once installed "mpianist-trainer". */
const char *program_name(void);
/* What another one, such as "preprocess", is called by where this one is called program_name():
 * "mpianist-preprocess" once installed. */
const char *program_called(const char *name);

/* Begins a line of standard error with program_name(). */
void program_say(const char *format, ...) G_GNUC_PRINTF(1, 2);

/* The cause alone of one of GLib's errors about a file. GLib names the file in front of it, as does whoever
 * reports the error. */
const char *program_cause(const GError *error);

/* Sets an error that is only to be read, since nobody asks which one it is. Returns FALSE. */
gboolean program_fail(GError **error, const char *format, ...) G_GNUC_PRINTF(2, 3);

/* --version of "trainer". */
void program_print_version(const char *name);
