/* test_json: the writer of JSON: how each style looks, and that json-glib reads it back. */
#include "preprocess/common/json.h"

#include <json-glib/json-glib.h>
#include <math.h>

static char *write_line(json_style_t style) {
    json_t json = {.text = g_string_new(NULL), .style = style};
    json_open(&json, NULL, '{');
    json_text(&json, "a \"name\"", "b\\\n\té");
    json_open(&json, "list", '[');
    json_number(&json, NULL, 0.1);
    json_number(&json, NULL, -3);
    json_number(&json, NULL, 1e20);
    json_number(&json, NULL, NAN);
    json_count(&json, NULL, 7);
    json_close(&json, '[');
    json_open(&json, "empty", '{');
    json_close(&json, '{');
    json_boolean(&json, "yes", TRUE);
    json_text(&json, "nothing", NULL);
    json_close(&json, '{');
    return g_string_free(json.text, FALSE);
}

static void test_styles(void) {
    g_autofree char *rounded = write_line(JSON_ROUNDED), *exact = write_line(JSON_EXACT),
                    *spaced = write_line(JSON_SPACED);
    g_assert_cmpstr(rounded, ==,
                    "{\"a \\\"name\\\"\":\"b\\\\\\u000a\\u0009é\",\"list\":[0.1,-3,1e+20,null,7],"
                    "\"empty\":{},\"yes\":true,\"nothing\":null}");
    g_assert_cmpstr(exact, ==,
                    "{\"a \\\"name\\\"\":\"b\\\\\\u000a\\u0009é\","
                    "\"list\":[0.10000000000000001,-3.0,1e+20,null,7],"
                    "\"empty\":{},\"yes\":true,\"nothing\":null}");
    g_assert_cmpstr(spaced, ==,
                    "{\"a \\\"name\\\"\": \"b\\\\\\u000a\\u0009é\", "
                    "\"list\": [0.10000000000000001, -3, 1e+20, null, 7], "
                    "\"empty\": {}, \"yes\": true, \"nothing\": null}");
}

static void test_read_back(void) {
    for (json_style_t style = JSON_ROUNDED; style <= JSON_SPACED; style++) {
        g_autofree char *line = write_line(style);
        g_autoptr(JsonParser) parser = json_parser_new();
        g_assert_true(json_parser_load_from_data(parser, line, -1, NULL));
        JsonObject *object = json_node_get_object(json_parser_get_root(parser));
        g_assert_cmpstr(json_object_get_string_member(object, "a \"name\""), ==, "b\\\n\té");
        g_assert_true(json_object_get_boolean_member(object, "yes"));
        g_assert_true(json_array_get_double_element(json_object_get_array_member(object, "list"), 0) == 0.1);
    }
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/json/styles", test_styles);
    g_test_add_func("/json/read-back", test_read_back);
    return g_test_run();
}
