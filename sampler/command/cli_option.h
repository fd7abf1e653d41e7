/* cli_option: the options of the sampler's verbs, one table of them: how each is parsed, its range, its help,
 * what it means for which kind of model, which others it needs or excludes, and whether files tell it.
 * Private to cli.c and cli_option.c. */
#ifndef MPIANIST_SAMPLER_COMMAND_CLI_OPTION_H
#define MPIANIST_SAMPLER_COMMAND_CLI_OPTION_H

#include "sampler/command/cli.h"

/* Kinds of models: what a verb or an option has a meaning for. PLAIN: a sequence model without latent
 * vectors. */
enum { DENSE = 1, VAE = 2, PLAIN = 4, SEQUENCE = VAE | PLAIN, ANY = DENSE | SEQUENCE };
/* Added to an option's kinds: the files made tell it. */
enum { TOLD = 8 };

typedef struct {
    const char *name;
    char letter;
    GOptionArg type;
    size_t offset; /* in cli_t */
    int verbs, kinds;
    double low, high;         /* allowed values, both included; equal: no check */
    const char *value, *help; /* value of G_OPTION_ARG_CALLBACK: formats, kept as 1, 2 and so on, 0: none;
                                 bare means the first */
    const char *instead;      /* for the other kinds of model; NULL: nothing */
} option_t;

/* Row i of the table; a name may have several rows, of different verbs. NULL: i is past the last. */
const option_t *option_at(size_t i);

/* Help with the range, the default and what it needs. verb_kinds: of models that the verb has a meaning for.
 * Owner: caller. */
char *option_help(const option_t *option, const cli_t *cli, int verb_kinds);
/* Sets an option to what means "not given". */
void option_unset(const option_t *option, cli_t *cli);
/* Whether the command line has it; if not, puts back its default. */
gboolean option_settle(const option_t *option, cli_t *cli, const cli_t *defaults);

/* The verb's option of a format that a word of the command line names: "--picture", "-p". NULL: none. */
const option_t *option_of_format(verb_t verb, const char *word);
/* 0: there is none of this name. */
int option_format_from_name(const option_t *option, const char *name);
/* GOptionArgFunc of formats; data: the cli_t. */
gboolean option_parse_format(const gchar *name, const gchar *value, gpointer data, GError **error);

/* Is the option of this name on the command line? */
gboolean cli_given(const cli_t *cli, const char *name);
/* Values of the options given: FALSE with CLI_ERROR_USAGE set where one is out of its range or empty. */
gboolean option_check_values(const cli_t *cli, GError **error);
/* Options given that would not be read, for want of another or beside one. FALSE with CLI_ERROR_USAGE set:
 * names both. */
gboolean option_check_company(const cli_t *cli, GError **error);

#endif
