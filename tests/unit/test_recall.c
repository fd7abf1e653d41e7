/* What is recalled of a piece: the nearest place that is alike within each window, counted by hand. */
#include <string.h>

#include "preprocess/roll/roll.h"
#include "trainer/model/recall.h"

enum { TRACKS = 2, PITCHES = 12, STRIDE = 2, FRAME = TRACKS * ROLL_PLANES * STRIDE, MOST = 200 };

typedef struct {
    recall_t *recall;
    uint8_t frames[MOST * FRAME];
    size_t T;
} piece_t;

/* Each letter is a frame: a to l strike that key and the next one, '.' none; other tracks strike one key. */
static void lay(piece_t *piece, const char *text, size_t track) {
    memset(piece->frames, 0, sizeof piece->frames);
    piece->T = strlen(text);
    g_assert_cmpuint(piece->T, <=, MOST);
    for (size_t t = 0; t < piece->T; t++)
        for (size_t k = 0; k < TRACKS; k++) {
            const unsigned keys = k != track ? 1U : text[t] == '.' ? 0U : 3U << (text[t] - 'a');
            uint8_t *row = piece->frames + t * FRAME + (k * ROLL_PLANES + PLANE_ONSET) * STRIDE;
            row[0] = (uint8_t)keys;
            row[1] = (uint8_t)(keys >> 8);
        }
    recall_begin(piece->recall, piece->frames, piece->T);
}

/* Plays frames before `end`: velocities tell frames, offsets tell tracks and keys. */
static void play(const piece_t *piece, const char *text, size_t track, size_t end) {
    for (size_t t = 0; t < end; t++)
        for (size_t k = 0; k < TRACKS; k++)
            for (int n = 0; n < (k != track ? 1 : text[t] == '.' ? 0 : 2); n++)
                recall_take(piece->recall, k, t, (played_t){(uint8_t)t, (int8_t)(10 * (int)k + n)});
}

/* wanted: frames that the windows find, -1: none. */
static void assert_found(const char *text, size_t t, const int wanted[RECALL_WINDOWS]) {
    for (size_t track = 0; track < TRACKS; track++) {
        piece_t piece = {.recall = recall_new(TRACKS, PITCHES)};
        lay(&piece, text, track);
        play(&piece, text, track, t);
        recall_look(piece.recall, track, t);
        for (size_t i = 0; i < RECALL_WINDOWS; i++)
            for (size_t n = 0; n < 2; n++) {
                const played_t *played = recall_at(piece.recall, i, n);
                g_assert_cmpint(played ? played->velocity : -1, ==, wanted[i]);
                if (played) g_assert_cmpint(played->offset, ==, 10 * (int)track + (int)n);
            }
        recall_free(piece.recall);
    }
}

/* What lies outside the piece is like everything. */
static void test_ends(void) {
    assert_found("abcdefg", 3, (const int[]){-1, -1, -1, -1, -1, -1});
    assert_found("abcda", 4, (const int[]){0, 0, 0, 0, 0, 0});
    assert_found("bcd.bcd", 4, (const int[]){0, 0, 0, 0, 0, 0});
    assert_found("abcd.bcd", 5, (const int[]){1, -1, -1, -1, 1, -1});
    assert_found("ab.aab.ac", 4, (const int[]){3, 0, -1, 0, -1, -1});
}

/* 80 frames that come back, among nearer places that are less alike. */
static void test_sections(void) {
#define SECTION "abacababbbcbaababbcacbbcacabaaaccabcabcacabbcabacabbabccaaccbacbcccbccabbcbcbcaba"
    static const char text[] = "aab" SECTION "ckj" SECTION "ckk";
    static const struct {
        size_t t;
        int wanted[RECALL_WINDOWS];
    } places[] = {{90, {84, 51, -1, -1, 6, -1}},     {100, {99, 16, 16, 1, 16, -1}},
                  {116, {115, 32, 32, 1, 32, -1}},   {120, {117, 36, 36, 36, 36, 36}},
                  {130, {129, 104, 46, 46, 46, 46}}, {135, {131, 90, 51, 51, 51, 51}},
                  {156, {155, 72, 72, 72, -1, -1}}};
    for (size_t i = 0; i < G_N_ELEMENTS(places); i++) assert_found(text, places[i].t, places[i].wanted);
}

/* A second piece forgets the first. */
static void test_again(void) {
    piece_t piece = {.recall = recall_new(TRACKS, PITCHES)};
    lay(&piece, "abab", 0);
    play(&piece, "abab", 0, 3);
    lay(&piece, "b.ab", 0);
    recall_look(piece.recall, 0, 0);
    g_assert_null(recall_at(piece.recall, 0, 0));
    play(&piece, "b.ab", 0, 3);
    recall_look(piece.recall, 0, 3);
    g_assert_cmpuint(recall_at(piece.recall, 0, 1)->velocity, ==, 0);
    recall_free(piece.recall);
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/recall/ends", test_ends);
    g_test_add_func("/recall/sections", test_sections);
    g_test_add_func("/recall/again", test_again);
    return g_test_run();
}
