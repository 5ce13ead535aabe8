#include "common/data/source.h"

#include <assert.h>
#include <stdlib.h>

#include "common/data/given.h"

static const char *const format_names[] = {"idx", "csv", "npy", "text", "roles"};

const char *fed_data_format_name(enum fed_data_format format) {
    assert((size_t)format < sizeof format_names / sizeof *format_names);
    return format_names[format];
}

bool fed_data_source_has_train(const struct fed_data_source *source) {
    return source->given != NULL || source->train != NULL || source->train_images != NULL || source->train_features != NULL;
}

bool fed_data_source_has_test(const struct fed_data_source *source) {
    return source->test != NULL || source->test_images != NULL || source->test_features != NULL ||
           (source->format == FED_DATA_ROLES && source->train != NULL);
}

static const char *any_of(const char *file, const char *images, const char *features) {
    return file != NULL ? file : images != NULL ? images : features != NULL ? features : "";
}

const char *fed_data_source_train_path(const struct fed_data_source *source) {
    return source->given != NULL ? source->given->name : any_of(source->train, source->train_images, source->train_features);
}

const char *fed_data_source_test_path(const struct fed_data_source *source) {
    return source->format == FED_DATA_ROLES ? fed_data_source_train_path(source)
                                            : any_of(source->test, source->test_images, source->test_features);
}

void fed_data_source_fini(struct fed_data_source *source) {
    free(source->train);
    free(source->test);
    free(source->train_images);
    free(source->test_images);
    free(source->train_features);
    free(source->test_features);
    free(source->train_labels);
    free(source->test_labels);
    free(source->label);
    free(source->group);
    *source = (struct fed_data_source){0};
}
