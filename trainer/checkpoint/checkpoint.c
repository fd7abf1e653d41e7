/* checkpoint: owns the checkpoint format for writing and reading. The attributes are under one SHA-256,
 * weights and moments under HDF5's checksums, so a flipped byte is noticed wherever it falls. Refuses other
 * shapes. checkpoint_file.c looks at a file before this does; checkpoint_folder.c looks after the files and
 * links of a run folder, checkpoint_attributes.c after the vectors of attributes, checkpoint_guide.c after
 * the guide. */
#include "trainer/checkpoint/checkpoint_file.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "preprocess/common/program.h"
#include "trainer/model/sizes.h"

G_STATIC_ASSERT(sizeof(real_t) == sizeof(float)); /* h5_write_floats() */

#define CHECKSUM "head_sha256"

/* Counts of the optimizer. */
typedef struct {
    int64_t adam_step, averaged, outer_steps;
} counts_t;

/* What the root attributes hold. */
typedef struct {
    checkpoint_t checkpoint; /* all but options */
    char *options, *corpus_id, *roles, *meter;
    int64_t windows;
    counts_t counts;
    const char *wrong; /* the first attribute read with an invalid value, or NULL */
} record_t;

static void record_clear(record_t *record) {
    g_free(record->options);
    g_free(record->corpus_id);
    g_free(record->roles);
    g_free(record->meter);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(record_t, record_clear)

void checkpoint_clear(checkpoint_t *checkpoint) { g_clear_pointer(&checkpoint->options, g_free); }

/* NAME is an enum, stored by name. SIZE and LIST are sizes of the model: a number, or a list of numbers. */
typedef enum { TEXT, NAME, LIST, INT, INT64, SIZE, REAL } field_type_t;

/* An attribute and its member of record_t. */
typedef struct {
    const char *name;
    field_type_t type;
    size_t offset;
    int64_t low, high;
    const char *const *names;
    const size_row_t *size;
    int since; /* version of the format */
} field_t;

#define AT(member) offsetof(record_t, checkpoint.member)
#define EVERY      G_MININT64, G_MAXINT64
#define COUNT      0, G_MAXINT64

/* In the order in which they are written and hashed. The model's sizes of version 1 follow the first two;
 * sizes that later versions added are at the end. */
static const field_t fields[] = {
    {"model", NAME, AT(model.kind), .names = MODEL_KIND_NAMES, .since = 1},
    {"loss", NAME, AT(model.loss), .names = LOSS_NAMES, .since = 1},
    {"steps_per_beat", INT, AT(grid.steps_per_beat), 1, 96, .since = 1},
    {"pitch_low", INT, AT(grid.pitch_low), 0, 127, .since = 1},
    {"roles", TEXT, offsetof(record_t, roles), .since = 1},
    {"fold_octaves", INT, AT(grid.fold_octaves), 0, 1, .since = 1},
    {"sustain_pedal", INT, AT(grid.sustain_pedal), 0, 1, .since = 1},
    {"options", TEXT, offsetof(record_t, options), .since = 1},
    {"corpus_id", TEXT, offsetof(record_t, corpus_id), .since = 1},
    {"tempo_bpm", REAL, AT(tempo_bpm), .since = 1},
    {"meter", TEXT, offsetof(record_t, meter), .since = 1},
    {"seed", INT64, AT(seed), EVERY, .since = 1},
    {"epoch", INT64, AT(epoch), COUNT, .since = 1},
    {"step", INT64, AT(step), COUNT, .since = 1},
    {"epoch_step", INT64, AT(epoch_step), COUNT, .since = 1},
    {"batch", INT64, AT(batch), EVERY, .since = 1},
    {"epoch_nll", REAL, AT(so_far.nll), .since = 1},
    {"epoch_kl", REAL, AT(so_far.kl), .since = 1},
    {"epoch_windows", INT64, offsetof(record_t, windows), EVERY, .since = 1},
    {"best", REAL, AT(best), .since = 1},
    {"best_epoch", INT64, AT(best_epoch), EVERY, .since = 1},
    {"adam_step", INT64, offsetof(record_t, counts.adam_step), COUNT, .since = 1},
    {"seconds", REAL, AT(seconds), .since = 1},
    {"averaged", INT64, offsetof(record_t, counts.averaged), COUNT, .since = 2},
    {"epoch_frames", REAL, AT(so_far.frames), .since = 2},
    {"epoch_segments", REAL, AT(so_far.segments), .since = 2},
    {"epoch_auxiliary", REAL, AT(so_far.auxiliary), .since = 2},
    {"outer_steps", INT64, offsetof(record_t, counts.outer_steps), COUNT, .since = 5},
    {"multiplier", REAL, AT(multiplier), .since = 6},
};

/* The name of the attribute that holds a size. */
static const char *size_attribute(const size_row_t *size) {
    g_autofree char *name = g_strdelimit(g_strdup(size->name), "-", '_');
    return g_intern_string(name);
}

/* Lists the attributes (field_t) that a version of the format has. Owner: caller. */
static GArray *list_fields(int64_t version) {
    GArray *list = g_array_new(FALSE, FALSE, sizeof(field_t));
    for (size_t i = 0; i <= G_N_ELEMENTS(fields); i++) {
        for (const size_row_t *size = MODEL_SIZES; size->name; size++) {
            const field_t field = {.name = size_attribute(size),
                                   .type = size->count ? LIST : SIZE,
                                   .offset = AT(model) + size->offset,
                                   .size = size};
            if (size->since <= version && i == (size->since == 1 ? 2 : G_N_ELEMENTS(fields)))
                g_array_append_val(list, field);
        }
        if (i < G_N_ELEMENTS(fields) && fields[i].since <= version) g_array_append_val(list, fields[i]);
    }
    return list;
}

/* FALSE if the value is invalid. */
static gboolean set_text(const field_t *field, record_t *record, const char *text) {
    void *member = (char *)record + field->offset;
    model_config_t *model = &record->checkpoint.model;
    if (field->type == LIST) return !size_applies(field->size, model) || size_parse(field->size, text, model);
    if (field->type == TEXT) {
        *(char **)member = g_strdup(text);
        return TRUE;
    }
    for (int i = 0; field->names[i]; i++)
        if (g_str_equal(field->names[i], text)) *(int *)member = i;
    return g_strv_contains(field->names, text);
}

static char *get_text(const field_t *field, record_t *record) {
    void *member = (char *)record + field->offset;
    if (field->type == LIST) return size_text(field->size, &record->checkpoint.model);
    return g_strdup(field->type == TEXT ? *(char **)member : field->names[*(int *)member]);
}

/* FALSE if the value is out of range. Sizes are checked later, when all have been read. */
static gboolean set_whole(const field_t *field, record_t *record, int64_t value) {
    void *member = (char *)record + field->offset;
    if (field->type == SIZE) {
        if (size_applies(field->size, &record->checkpoint.model)) *(size_t *)member = (size_t)value;
        return TRUE;
    }
    if (value < field->low || value > field->high) return FALSE;
    if (field->type == INT)
        *(int *)member = (int)value;
    else
        *(int64_t *)member = value;
    return TRUE;
}

static int64_t get_whole(const field_t *field, record_t *record) {
    void *member = (char *)record + field->offset;
    if (field->type == SIZE) return (int64_t)(*(size_t *)member);
    return field->type == INT ? *(int *)member : *(int64_t *)member;
}

/* Writes or reads an attribute and adds "name=value" to lines. */
static gboolean transfer_field(h5_file_t *file, gboolean write, const field_t *field, record_t *record,
                               GString *lines, GError **error) {
    char number[G_ASCII_DTOSTR_BUF_SIZE];
    gboolean right = TRUE;
    g_string_append_printf(lines, "%s=", field->name);
    if (field->type == REAL) {
        double *real = (double *)(void *)((char *)record + field->offset);
        if (!(write ? h5_write_double(file, "/", field->name, *real, error)
                    : h5_read_double(file, "/", field->name, real, error)))
            return FALSE;
        g_string_append(lines, g_ascii_dtostr(number, sizeof number, *real));
    } else if (field->type >= INT) {
        int64_t whole = write ? get_whole(field, record) : 0;
        if (!(write ? h5_write_int(file, "/", field->name, whole, error)
                    : h5_read_int(file, "/", field->name, &whole, error)))
            return FALSE;
        g_string_append_printf(lines, "%" G_GINT64_FORMAT, whole);
        right = write || set_whole(field, record, whole);
    } else {
        g_autofree char *text =
            write ? get_text(field, record) : h5_read_string(file, "/", field->name, error);
        if (!text || (write && !h5_write_string(file, "/", field->name, text, error))) return FALSE;
        g_string_append(lines, text);
        right = write || set_text(field, record, text);
    }
    g_string_append_c(lines, '\n');
    if (!right && !record->wrong) record->wrong = field->name;
    return TRUE;
}

/* Writes or reads the attributes of a version and their checksum. */
static gboolean transfer_record(h5_file_t *file, gboolean write, int64_t version, record_t *record,
                                GError **error) {
    g_autoptr(GArray) list = list_fields(version);
    g_autoptr(GString) lines = g_string_new(NULL);
    for (guint i = 0; i < list->len; i++)
        if (!transfer_field(file, write, &g_array_index(list, field_t, i), record, lines, error))
            return FALSE;
    g_autofree char *sum = g_compute_checksum_for_string(G_CHECKSUM_SHA256, lines->str, (gssize)lines->len);
    if (write) return h5_write_string(file, "/", CHECKSUM, sum, error);
    g_autofree char *stored = h5_read_string(file, "/", CHECKSUM, error);
    if (!stored || g_str_equal(stored, sum)) return stored != NULL;
    g_set_error(error, CHECKPOINT_ERROR, CHECKPOINT_ERROR_READ,
                "%s: cannot read checkpoint: its attributes do not match their checksum; the file is "
                "damaged, use an older checkpoint",
                h5_file_path(file));
    return FALSE;
}

/* Fills in what depends on several attributes. Returns NULL, or the name of one whose value is invalid. */
static const char *complete(record_t *record, int64_t version) {
    checkpoint_t *checkpoint = &record->checkpoint;
    model_config_t *model = &checkpoint->model;
    unsigned numerator = 0, denominator = 0;
    for (const size_row_t *size = MODEL_SIZES; size->name; size++)
        if (size->since > version && size->before && size_applies(size, model))
            size_parse(size, size->before, model);
    const size_row_t *wrong = sizes_find_wrong(model);
    if (wrong) return size_attribute(wrong);
    checkpoint->grid.pitches = (int)model->pitches;
    if (checkpoint->grid.pitch_low + checkpoint->grid.pitches > 128) return "pitch_low";
    if (!grid_set_tracks(&checkpoint->grid, record->roles, NULL)) return "roles";
    if (model->tracks != (size_t)checkpoint->grid.n_tracks) return "tracks";
    if (model->kind == MODEL_SEQUENCE) model_order_tracks(model, &checkpoint->grid);
    if (g_strlcpy(checkpoint->corpus_id, record->corpus_id, sizeof checkpoint->corpus_id) >=
        sizeof checkpoint->corpus_id)
        return "corpus_id";
    if (!isfinite(checkpoint->tempo_bpm) || checkpoint->tempo_bpm <= 0) return "tempo_bpm";
    if (!isfinite(checkpoint->multiplier) || checkpoint->multiplier < 0) return "multiplier";
    if (sscanf(record->meter, "%3u/%3u", &numerator, &denominator) != 2 || numerator < 1 || numerator > 255 ||
        denominator < 1 || denominator > 255)
        return "meter";
    checkpoint->meter = (meter_t){.numerator = (uint8_t)numerator, .denominator = (uint8_t)denominator};
    checkpoint->so_far.windows = (double)record->windows;
    checkpoint->options = g_steal_pointer(&record->options);
    return NULL;
}

/* counts: NULL, or receives the counts of the file's optimizer state. */
static gboolean read_record(h5_file_t *file, checkpoint_t *checkpoint, counts_t *counts, GError **error) {
    g_auto(record_t) record = {0};
    int64_t version;
    if (!h5_read_int(file, "/", "version", &version, error) ||
        !transfer_record(file, FALSE, version, &record, error))
        return FALSE;
    if (!record.wrong) record.wrong = complete(&record, version);
    if (record.wrong) {
        g_set_error(error, CHECKPOINT_ERROR, CHECKPOINT_ERROR_FORMAT,
                    "%s: cannot read checkpoint: the value of attribute '%s' makes no sense; write it anew",
                    h5_file_path(file), record.wrong);
        return FALSE;
    }
    const size_t elements = model_elements(&record.checkpoint.model, error);
    if (elements == 0 || !checkpoint_file_holds(file, "model", elements, error)) {
        checkpoint_clear(&record.checkpoint);
        return FALSE;
    }
    *checkpoint = record.checkpoint;
    if (counts) *counts = record.counts;
    return TRUE;
}

gboolean checkpoint_read(const char *path, checkpoint_t *checkpoint, GError **error) {
    *checkpoint = (checkpoint_t){0};
    g_autoptr(h5_file_t) file = checkpoint_file_open(path, error);
    return file && read_record(file, checkpoint, NULL, error);
}

/* Writes or reads every matrix of a block. */
static gboolean transfer_block(h5_file_t *file, gboolean write, const char *group, real_t *block,
                               const model_t *model, GError **error) {
    size_t n;
    const param_t *table = model_table(model, &n);
    for (size_t i = 0; i < n; i++) {
        g_autofree char *name = g_strconcat(group, "/", table[i].name, NULL);
        real_t *matrix = block + table[i].offset;
        if (!(write ? h5_write_floats(file, name, matrix, table[i].rows, table[i].cols, error)
                    : h5_read_floats(file, name, matrix, table[i].rows, table[i].cols, error)))
            return FALSE;
    }
    return TRUE;
}

h5_file_t *checkpoint_file_create(const char *path, const checkpoint_t *checkpoint, model_t *model,
                                  const optimizer_t *optimizer, GError **error) {
    g_auto(record_t) record = {
        .checkpoint = *checkpoint,
        .options = g_strdup(checkpoint->options ? checkpoint->options : ""),
        .corpus_id = g_strdup(checkpoint->corpus_id),
        .roles = grid_tracks_string(&checkpoint->grid),
        .meter = g_strdup_printf("%d/%d", checkpoint->meter.numerator, checkpoint->meter.denominator),
        .windows = (int64_t)checkpoint->so_far.windows,
        .counts = {optimizer->step, optimizer->averaged, optimizer->outer_steps}};
    g_autoptr(h5_file_t) file = h5_file_create(path, error);
    if (!file || !h5_write_string(file, "/", "format", CHECKPOINT_FORMAT, error) ||
        !h5_write_int(file, "/", "version", CHECKPOINT_VERSION, error) ||
        !h5_write_string(file, "/", "tool", "mpianist-trainer " MPIANIST_VERSION, error) ||
        !transfer_record(file, TRUE, CHECKPOINT_VERSION, &record, error) ||
        !transfer_block(file, TRUE, "/weights", model_params(model), model, error) ||
        !transfer_block(file, TRUE, "/adam/m", optimizer->m, model, error) ||
        !transfer_block(file, TRUE, "/adam/v", optimizer->v, model, error) ||
        (optimizer->averaged > 0 &&
         !transfer_block(file, TRUE, "/average", optimizer->average, model, error)) ||
        (optimizer->outer_steps > 0 &&
         !transfer_block(file, TRUE, "/momentum", optimizer->momentum, model, error)))
        return NULL;
    return g_steal_pointer(&file);
}

gboolean checkpoint_write(const char *path, const checkpoint_t *checkpoint, model_t *model,
                          const optimizer_t *optimizer, owner_t *owner, GError **error) {
    h5_file_t *file = checkpoint_file_create(path, checkpoint, model, optimizer, error);
    return file && h5_file_commit(file, owner, error);
}

/* FALSE with CHECKPOINT_ERROR_SHAPE set if the values of checkpoint and run differ. */
static gboolean check_same(const char *path, const char *name, const char *there, const char *here,
                           gboolean of_data, GError **error) {
    if (g_str_equal(there, here)) return TRUE;
    g_autofree char *way_out =
        of_data ? g_strdup("preprocess the songs alike") : g_strdup_printf("use --%s %s", name, there);
    g_set_error(error, CHECKPOINT_ERROR, CHECKPOINT_ERROR_SHAPE,
                "%s: checkpoint has %s %s, the run asks for %s; %s or another --output", path, name, there,
                here, way_out);
    return FALSE;
}

static gboolean check_shape(const char *path, const model_config_t *there, const model_config_t *here,
                            GError **error) {
    if (!check_same(path, "model", MODEL_KIND_NAMES[there->kind], MODEL_KIND_NAMES[here->kind], FALSE,
                    error) ||
        !check_same(path, "loss", LOSS_NAMES[there->loss], LOSS_NAMES[here->loss], FALSE, error))
        return FALSE;
    for (const size_row_t *size = MODEL_SIZES; size->name; size++) {
        g_autofree char *old = size_text(size, there), *new = size_text(size, here);
        if (!check_same(path, size->name, old, new, size->of_data, error)) return FALSE;
    }
    return TRUE;
}

/* Opens a checkpoint, which must be of a model of the same shape; else as read_record(). NULL on error. */
static h5_file_t *open_state(const char *path, const model_t *model, counts_t *counts, GError **error) {
    g_auto(checkpoint_t) checkpoint = {0};
    g_autoptr(h5_file_t) file = checkpoint_file_open(path, error);
    if (!file || !read_record(file, &checkpoint, counts, error) ||
        !check_shape(path, &checkpoint.model, model_config(model), error))
        return NULL;
    return g_steal_pointer(&file);
}

gboolean checkpoint_read_state(const char *path, model_t *model, optimizer_t *optimizer, GError **error) {
    counts_t counts;
    g_autoptr(h5_file_t) file = open_state(path, model, &counts, error);
    if (!file || !transfer_block(file, FALSE, "/weights", model_params(model), model, error) ||
        !transfer_block(file, FALSE, "/adam/m", optimizer->m, model, error) ||
        !transfer_block(file, FALSE, "/adam/v", optimizer->v, model, error))
        return FALSE;
    optimizer->step = counts.adam_step;
    optimizer->averaged = optimizer->average ? counts.averaged : 0;
    optimizer->outer_steps = optimizer->momentum ? counts.outer_steps : 0;
    return (optimizer->averaged == 0 ||
            transfer_block(file, FALSE, "/average", optimizer->average, model, error)) &&
           (optimizer->outer_steps == 0 ||
            transfer_block(file, FALSE, "/momentum", optimizer->momentum, model, error));
}

gboolean checkpoint_read_weights(const char *path, model_t *model, GError **error) {
    counts_t counts;
    g_autoptr(h5_file_t) file = open_state(path, model, &counts, error);
    return file && transfer_block(file, FALSE, counts.averaged > 0 ? "/average" : "/weights",
                                  model_params(model), model, error);
}
