/* What follows from the mark of another process: who lives, who has to give way. */
#include "preprocess/common/owner_mark.h"

#define MARK(job, restart) "[owner]\nhost=h9\npid=123\nstarted=5\nkernel=k\njob=" job "\n" restart

static void test_earlier(void) {
    static const struct {
        const char *text, *than;
        gboolean earlier;
    } marks[] = {
        {MARK("31", "restart=0\n"), MARK("31", "restart=1\n"), TRUE},
        {MARK("31", "restart=9\n"), MARK("31", "restart=10\n"), TRUE},
        {MARK("30_2", "restart=0\n"), MARK("30_2", "restart=1\n"), TRUE},
        {MARK("31", ""), MARK("31", "restart=1\n"), TRUE},
        {MARK("31", "restart=1\n"), MARK("31", "restart=1\n"), FALSE},
        {MARK("31", "restart=2\n"), MARK("31", "restart=1\n"), FALSE},
        {MARK("31", "restart=1\n"), MARK("32", "restart=2\n"), FALSE},
        {MARK("30_2", "restart=1\n"), MARK("30_3", "restart=2\n"), FALSE},
        {MARK("", "restart=1\n"), MARK("", "restart=2\n"), FALSE}, /* outside SLURM */
        {"[ow", MARK("31", "restart=1\n"), FALSE},
        {"", "", FALSE},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(marks); i++)
        g_assert_cmpint(owner_mark_is_earlier(marks[i].text, marks[i].than), ==, marks[i].earlier);
}

static char *mark_of_start(const char *restart) {
    g_setenv("SLURM_RESTART_COUNT", restart, TRUE);
    return owner_mark_new();
}

static void test_life(void) {
    g_setenv("SLURM_JOB_ID", "31", TRUE);
    g_autofree char *first = mark_of_start("0"), *second = mark_of_start("1");
    g_assert_cmpint(owner_mark_life(first, first), ==, LIFE_THERE);
    g_assert_cmpint(owner_mark_life(first, second), ==, LIFE_EARLIER);
    g_assert_cmpint(owner_mark_life(second, first), ==, LIFE_THERE);
    g_assert_cmpint(owner_mark_life(MARK("31", "restart=0\n"), second), ==, LIFE_EARLIER);
    g_assert_cmpint(owner_mark_life(MARK("31", "restart=1\n"), second), ==, LIFE_ELSEWHERE);
    g_assert_cmpint(owner_mark_life(MARK("32", "restart=0\n"), second), ==, LIFE_ELSEWHERE);
    g_assert_cmpint(owner_mark_life("", second), ==, LIFE_ELSEWHERE);
    /* A process of this host that has another number, or started at another time, is gone. */
    g_autoptr(GKeyFile) file = g_key_file_new();
    g_assert_true(g_key_file_load_from_data(file, first, (gsize)-1, G_KEY_FILE_NONE, NULL));
    g_key_file_set_uint64(file, "owner", "started", 5);
    g_autofree char *gone = g_key_file_to_data(file, NULL, NULL);
    g_assert_cmpint(owner_mark_life(gone, second), ==, LIFE_GONE);
}

static void test_describe(void) {
    g_autofree char *first = owner_mark_describe(MARK("31", "since=1000000000\n"), "writes here since"),
                    *again = owner_mark_describe(MARK("31", "restart=2\nsince=1000000000\n"), "took over at"),
                    *bare = owner_mark_describe(MARK("", "restart=0\nsince=1000000000\n"), "took over at"),
                    *torn = owner_mark_describe("[ow", "took over");
    g_assert_true(g_pattern_match_simple("job 31 on h9 (pid 123) writes here since 2001-09-0? ??:??", first));
    g_assert_true(g_str_has_prefix(again, "job 31, restart 2, on h9 (pid 123) took over at 2001-"));
    g_assert_true(g_str_has_prefix(bare, "process 123 on h9 took over at 2001-"));
    g_assert_cmpstr(torn, ==, "a process that does not say its name took over");
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/owner-mark/earlier", test_earlier);
    g_test_add_func("/owner-mark/life", test_life);
    g_test_add_func("/owner-mark/describe", test_describe);
    return g_test_run();
}
