/* budget: owns how the size of a corpus becomes the length of a run and the size of its steps. Refuses
 * nothing: whether a corpus is enough for a step, and a batch for the ranks, is checked where they meet. */
#include "trainer/run/budget.h"

#include <math.h>

#define BASE_FRAMES    2e6 /* that a run sees of a corpus of up to SMALL_CORPUS */
#define SMALL_CORPUS   20e3
#define EPOCHS_LEAST   2
#define EPOCHS_MOST    400
#define VALIDATIONS    20
#define WHOLE_FRAMES   160 /* of most songs, where pieces are whole */
#define WHOLE_MOST     1000
#define LONG_FRAMES    400 /* of a song on average, where chunks are short */
#define CHUNK          128
#define CHUNK_SHORT    64
#define CHUNK_SEGMENTS 8
#define LARGE_CORPUS   50e3
#define STEP_FRAMES    500 /* of a corpus below LARGE_CORPUS */
#define STEP_PIECES    12  /* of a larger one, within these frames: */
#define STEP_LEAST     768
#define STEP_MOST      1536
#define BATCH_LEAST    4
#define BATCH_MOST     64
#define EPOCH_STEPS    8

/* A corpus as the choice goes by it. */
typedef struct {
    const int64_t *frames; /* [n] */
    int64_t n;
    double total, mean; /* frames */
} corpus_t;

static int choose_epochs(const corpus_t *corpus) {
    const double seen = BASE_FRAMES * cbrt(MAX(corpus->total, SMALL_CORPUS) / SMALL_CORPUS);
    return (int)lround(CLAMP(seen / MAX(corpus->total, 1), EPOCHS_LEAST, EPOCHS_MOST));
}

static int choose_chunk(const corpus_t *corpus, const model_config_t *sizes) {
    int64_t longer = 0, longest = 0;
    for (int64_t i = 0; i < corpus->n; i++) {
        longer += corpus->frames[i] > WHOLE_FRAMES;
        longest = MAX(longest, corpus->frames[i]);
    }
    if (20 * longer <= corpus->n && longest <= WHOLE_MOST) return 0;
    const size_t align = model_alignment(sizes), least = MAX(corpus->mean > LONG_FRAMES ? CHUNK_SHORT : CHUNK,
                                                             CHUNK_SEGMENTS * sizes->sequence.segment);
    return (int)((least + align - 1) / align * align);
}

/* Samples of an epoch (trainer/data/data.h). */
static int64_t count_samples(const corpus_t *corpus, int64_t chunk) {
    int64_t samples = 0;
    for (int64_t i = 0; i < corpus->n; i++)
        samples += chunk > 0 ? (corpus->frames[i] + chunk - 1) / chunk : 1;
    return samples;
}

static int choose_batch(const corpus_t *corpus, int chunk, int accumulate) {
    const int64_t samples = count_samples(corpus, chunk);
    const double piece = chunk > 0 ? MIN(chunk, corpus->mean) : corpus->mean,
                 step = corpus->total < LARGE_CORPUS ? STEP_FRAMES
                                                     : CLAMP(STEP_PIECES * piece, STEP_LEAST, STEP_MOST);
    int64_t batch = lround(CLAMP(step / MAX(piece, 1), BATCH_LEAST, BATCH_MOST));
    batch = MAX(MIN(batch, samples / EPOCH_STEPS), MAX(BATCH_LEAST, accumulate));
    return (int)CLAMP(batch, 1, MAX(samples, 1));
}

static void set(int *number, int chosen, const char *name, GString *text) {
    if (*number != OPTIONS_AUTO) return;
    *number = chosen;
    g_string_append_printf(text, "%s--%s %d", text->len ? " " : "", name, chosen);
}

char *budget_choose(options_t *options, const int64_t *frames, size_t n) {
    corpus_t corpus = {.frames = frames, .n = (int64_t)n};
    for (size_t i = 0; i < n; i++) corpus.total += (double)frames[i];
    corpus.mean = n > 0 ? corpus.total / (double)n : 0;
    GString *text = g_string_new(NULL);
    set(&options->chunk, choose_chunk(&corpus, &options->sizes), "chunk", text);
    set(&options->batch, choose_batch(&corpus, options->chunk, options->accumulate), "batch", text);
    set(&options->epochs, choose_epochs(&corpus), "epochs", text);
    set(&options->validate_every, (int)MAX(lround(options->epochs / (double)VALIDATIONS), 1),
        "validate-every", text);
    return g_string_free(text, text->len == 0);
}
