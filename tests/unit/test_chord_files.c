/* Files of chords, as text and as MusicXML: what they mean, how they are refused, and damaged ones. */
#include <glib/gstdio.h>
#include <string.h>

#include "preprocess/common/option.h"
#include "tests/helpers/chord_line.h"
#include "tests/helpers/mutate.h"

/* Writes bytes to a file of the working folder. */
static void write_bytes(const char *path, const char *bytes, size_t n) {
    g_assert_true(g_file_set_contents(path, bytes, (gssize)n, NULL));
}

static char *read_line(const char *path, const char *text) {
    g_autoptr(GError) error = NULL;
    write_bytes(path, text, strlen(text));
    g_autoptr(chords_t) chords = chords_from_file(path, &error);
    g_assert_no_error(error);
    g_unlink(path);
    return line_text(chords);
}

static void assert_refused(const char *path, const char *bytes, size_t n, const char *message) {
    g_autoptr(GError) error = NULL;
    g_autofree char *start = g_strdup_printf("%s: %s", path, message);
    write_bytes(path, bytes, n);
    g_assert_null(chords_from_file(path, &error));
    g_assert_nonnull(error);
    g_assert_true(error->domain != OPTION_ERROR); /* a bad file is no bad usage */
    if (!g_str_has_prefix(error->message, start)) g_error("'%s', wanted '%s'", error->message, start);
    g_unlink(path);
}

static void test_text_files(void) {
    static const struct {
        const char *text, *line;
    } good[] = {
        {"\xEF\xBB\xBF# A song\n\nAm F # verse: | no bar here\nC F#m7\n#end",
         "Am 0, F 1, C 2, F#m7 3, 4 bars"},
        {"| Am | F G |# a\r\n| C# |\r\n", "Am 0, F 1, G 1.5, C# 2, 3 bars"},
        {"Am:2 F:2\n# more\nC:4", "Am 0, F 2, C 4, 8"},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(good); i++) {
        g_autofree char *line = read_line("song.txt", good[i].text);
        g_assert_cmpstr(line, ==, good[i].line);
    }
    static const struct {
        const char *text, *message;
    } bad[] = {
        {"", "no chords; give some"},
        {"# nothing\n", "no chords; give some"},
        {"Am F\n\nC Hm # H\n", "line 3: 'Hm' is no chord that is known; give one such as C"},
        {"Am | F\nC | D:2\n", "both | and : are there"},
        {"Am:2\nF:0\n", "line 2: 'F:0': its length is not a number"},
        {"PK\3\4", "compressed MusicXML (.mxl) is not read; save it uncompressed, as .musicxml"},
        {"Am\xFF", "cannot read chords: not a text in UTF-8; give a text of chords such as Am | F G | C"},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++)
        assert_refused("bad.txt", bad[i].text, strlen(bad[i].text), bad[i].message);
    assert_refused("bad.txt", "Am\0F", 4, "cannot read chords: not a text in UTF-8");
    g_autofree char *longest = g_strnfill((1 << 20) + 1, ' ');
    assert_refused("bad.txt", longest, strlen(longest), "cannot read chords: larger than 1 MiB; give a text");
    static const struct {
        const char *path, *message;
    } unreadable[] = {
        {"/nonexistent/a.txt", "/nonexistent/a.txt: cannot read chords: No such file or directory; give"},
        {"/", "/: cannot read chords: Is a directory; give"},
        {"/dev/zero", "/dev/zero: cannot read chords: larger than 32 MiB; give"}};
    for (size_t i = 0; i < G_N_ELEMENTS(unreadable); i++) {
        g_autoptr(GError) error = NULL;
        g_assert_null(chords_from_file(unreadable[i].path, &error));
        g_assert_true(g_str_has_prefix(error->message, unreadable[i].message));
    }
}

/* MusicXML, of which these tests write the beginning and end of a score and common elements in short. */
static const struct {
    const char *pattern, *meaning;
} SHORT[] = {
    {"\\[score\\]",
     "<?xml version='1.0' encoding='UTF-8'?>\n"
     "<!DOCTYPE score-partwise PUBLIC \"-//Recordare//DTD MusicXML 4.0 Partwise//EN\" "
     "\"http://www.musicxml.org/dtds/partwise.dtd\">\n<score-partwise version='4.0'><part-list>"
     "<score-part id='P1'><part-name>A</part-name></score-part></part-list>\n<part id='P1'>\n"},
    {"\\[/score\\]", "</part></score-partwise>\n"},
    {"\\[time (\\S+)/(\\S+) (\\S+)\\]",
     "<attributes><divisions>\\3</divisions><key><fifths>0</fifths></key><time><beats>\\1</beats>"
     "<beat-type>\\2</beat-type></time></attributes>"},
    {"\\[note (\\S+)\\]", "<note><rest/><duration>\\1</duration><voice>1</voice></note>"},
    {"\\[harmony (\\S+) (\\S+)\\]",
     "<harmony print-frame='no'><root><root-step>\\1</root-step></root><kind text='x'>\\2</kind>"},
    {"\\[bass (\\S+) (\\S+)\\]", "<bass><bass-step>\\1</bass-step><bass-alter>\\2</bass-alter></bass>"},
    {"\\[degree (\\S+) (\\S+) (\\S+)\\]",
     "<degree><degree-value>\\1</degree-value><degree-alter>\\2</degree-alter>"
     "<degree-type>\\3</degree-type></degree>"},
};

/* What is written in short, in full. Owner: caller. */
static char *in_full(const char *text) {
    char *full = g_strdup(text);
    for (size_t i = 0; i < G_N_ELEMENTS(SHORT); i++) {
        g_autoptr(GRegex) pattern = g_regex_new(SHORT[i].pattern, 0, 0, NULL);
        g_autofree char *before = full;
        full = g_regex_replace(pattern, before, -1, 0, SHORT[i].meaning, 0, NULL);
        g_assert_nonnull(full);
    }
    return full;
}

/* A pickup, changes of time and divisions, a grace note, a chord's notes, voices, offsets, a second part. */
static const char SCORE[] =
    "[score]<measure number='0' implicit='yes'>[time 4/4 2][harmony G dominant]</harmony>[note 2]</measure>\n"
    "<measure number='1'>[harmony C major]</harmony>[note 4]\n"
    "<note><grace/><pitch><step>C</step><octave>4</octave></pitch></note>\n"
    "<note><pitch><step>C</step><octave>4</octave></pitch><duration>4</duration></note>\n"
    "<note><chord/><pitch><step>E</step><octave>4</octave></pitch><duration>4</duration></note>\n"
    "<backup><duration>4</duration></backup>[harmony A minor-seventh][bass G 0]</harmony>\n"
    "[harmony D half-diminished]<offset>3</offset></harmony>\n"
    "<forward><duration>4</duration></forward></measure>\n"
    "<measure number='2'>[time 3/4 "
    "6]<harmony><root><root-step>B</root-step><root-alter>-1</root-alter></root>\n"
    "<kind> suspended-fourth\n</kind>[degree 7 0 add]</harmony>[note 6]\n"
    "[harmony E dominant][degree 9 -1 add][degree 5 1 alter][degree 3 0 subtract]</harmony>\n"
    "<!-- three quarter notes by its time, one by its notes --></measure>\n"
    "<measure number='3'>[time 3+2/8 6][harmony C none]</harmony></measure>\n"
    "<measure number='X1' implicit='yes'>[note 6]</measure>\n"
    "<measure number='4'>[harmony F major]</harmony>[harmony F major-minor]</harmony></measure></part>\n"
    "<part id='P2'><measure number='0'>[harmony H nonsense]</harmony></measure>[/score]";

static void test_musicxml(void) {
    static const struct {
        const char *text, *line;
    } cases[] = {
        {SCORE, "C 0, Am7/G 2, Dø7 3.5, Bbsus4(add7) 4, E7(b9,#5,no3) 5, N.C. 7, Fm(maj7) 10.5, 13"},
        /* The pickup's chord goes on; nothing is asked before a first chord; without a time notes count. */
        {"[score]<measure number='0'>[time 4/4 1][harmony G dominant]</harmony>[note 1]</measure>"
         "<measure>[note 4]</measure>[/score]",
         "G7 0, 4"},
        {"[score]<measure>[time 4/4 1][note 1][harmony G minor]</harmony></measure>[/score]",
         "N.C. 0, Gm 1, 4"},
        {"[score]<measure number='0'>[harmony G power]</harmony>[note 3]</measure>[/score]", "G5 0, 3"},
        /* Two flats, and a flat fifth that is no flat root. */
        {"[score]<measure>[time 4/4 "
         "1]<harmony><root><root-step>B</root-step><root-alter>-2</root-alter></root>"
         "<kind/></harmony></measure>[/score]",
         "A 0, 4"},
        {"[score]<measure>[time 4/4 1][harmony C major][degree 5 -1 alter]</harmony></measure>[/score]",
         "C(b5) 0, 4"},
        /* In order of time; what stands behind the end is left out. */
        {"[score]<measure>[time 4/4 1][harmony C major]<offset>2</offset></harmony>"
         "[harmony G minor]</harmony>[harmony F major]<offset>4</offset></harmony></measure>[/score]",
         "Gm 0, C 2, 4"},
    };
    static const char *const names[] = {"song.musicxml", "song.XML", "song"};
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *text = in_full(cases[i].text), *line = read_line(names[i % 3], text);
        g_assert_cmpstr(line, ==, cases[i].line);
    }
}

static void test_bad_musicxml(void) {
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"", "cannot be read as MusicXML: "},
        {"Am F C G", "cannot be read as MusicXML: Error on line 1"},
        {"<score-partwise>\n<part></score-partwise>", "cannot be read as MusicXML: Error on line 2"},
        {"[score]", "cannot be read as MusicXML: Error on line "},
        {"<html></html>", "line 1: <html> is no partwise score of MusicXML; save the score as MusicXML"},
        {"<?xml version='1.0'?>\n<score-timewise></score-timewise>",
         "line 2: <score-timewise> is no partwise"},
        {"[score]<measure>[time 4/4 1]</measure>[/score]",
         "no chord symbols (harmony) in its first part; put them there, or give the chords as text"},
        {"[score]<measure>[harmony C major]</harmony></measure>[/score]",
         "no whole measure in its first part; give it a time signature"},
        {"[score]<measure>\n[harmony C Tristan]</harmony>\n</measure>[/score]",
         "line 6: the harmony 'CTristan' (kind 'Tristan') is not known; write it as one such as C, Am"},
        {"[score][harmony H major]</harmony>[/score]", "line 5: the harmony 'H' (kind 'major') is not known"},
        {"[score][harmony C major][degree 3 -1 alter]</harmony>[/score]", "line 5: the harmony 'C(b3)'"},
        {"[score]<harmony><function>V</function><kind>major</kind></harmony>[/score]",
         "line 5: a harmony without a root; mend it in a notation program, or give the chords as text"},
        {"[score][time 4/4 0][/score]",
         "line 5: <divisions> is '0', not a number from 0.001 to 1e+06; mend it"},
        {"[score][time 4/x 1][/score]", "line 5: <beat-type> is 'x', not a whole number from 1 to 1024"},
        {"[score][time four/4 1][/score]", "line 5: a time of 'four' beats; mend it"},
        {"[score][note -1][/score]", "line 5: <duration> is '-1', not a number from 0 to 1e+09"},
        {"[score][harmony C major]<offset>inf</offset></harmony>[/score]",
         "line 5: <offset> is 'inf', not a"},
        {"[score][harmony C major][bass C 0.5]</harmony>[/score]",
         "line 5: <bass-alter> is '0.5', not a whole"},
        {"[score][harmony C major][bass C 3]</harmony>[/score]", "line 5: <bass-alter> is '3', not a whole"},
        {"PK\3\4", "compressed MusicXML (.mxl) is not read; save it uncompressed"},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *text = in_full(cases[i].text);
        assert_refused("bad.musicxml", text, strlen(text), cases[i].message);
    }
}

/* What a line of chords must be, however strange the text was. */
static void assert_sound(const chords_t *chords) {
    g_assert_cmpuint(chords->places->len, >, 0);
    double before = -1;
    for (guint i = 0; i < chords->places->len; i++) {
        const chord_place_t *place = &g_array_index(chords->places, chord_place_t, i);
        g_assert_true(i > 0 ? place->begins > before : place->begins == 0);
        g_assert_cmpuint(place->chord.classes >> 12, ==, 0);
        g_assert_cmpint(place->chord.classes == 0, ==, place->chord.root == CHORD_NONE);
        before = place->begins;
    }
    g_assert_true(chords->length > before && chords->length < 1e300);
}

/* Damaged files are refused by name, or mean what they say. */
static void test_damaged(void) {
    g_autofree char *score = in_full(SCORE);
    const struct {
        const char *path, *text;
    } files[] = {{"damaged.musicxml", score},
                 {"damaged.txt", "# a song\n| Am | F G | % |\n| C | D/F# N.C. |\n"},
                 {"damaged.txt", "Am:2 F:1.5 %:0.5\nBbmaj7:4 % E7(b9):2\n"}};
    guint read = 0;
    const guint mutations = mutate_count(3000);
    for (guint i = 0; i < mutations; i++) {
        const char *path = files[i % 3].path, *text = files[i % 3].text;
        mutate_begin("damage %u to %s", i, path);
        g_autoptr(GByteArray) file = mutate((const guint8 *)text, strlen(text), i);
        g_autoptr(GError) error = NULL;
        mutate_write(path, file);
        g_autoptr(chords_t) chords = chords_from_file(path, &error);
        g_assert_true((chords == NULL) == (error != NULL));
        if (chords)
            assert_sound(chords);
        else
            g_assert_true(g_str_has_prefix(error->message, path));
        read += chords != NULL;
    }
    alarm(0);
    g_test_message("%u of %u damaged files were read", read, mutations);
    g_assert_cmpuint(read, >, mutations / 50);
    g_assert_cmpuint(read, <, mutations / 2);
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    mutate_watch();
    g_test_add_func("/chord-files/text-files", test_text_files);
    g_test_add_func("/chord-files/musicxml", test_musicxml);
    g_test_add_func("/chord-files/bad-musicxml", test_bad_musicxml);
    g_test_add_func("/chord-files/damaged", test_damaged);
    return g_test_run();
}
