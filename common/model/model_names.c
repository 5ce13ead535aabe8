/* Words of the task file for what a description holds as numbers. */
#include <assert.h>
#include <stddef.h>

#include "common/model/model.h"

static const char *const activation_names[] = {"linear", "relu", "tanh", "sigmoid"};
static const char *const kind_names[] = {"dense", "conv2d", "max_pool", "flatten", "embedding", "lstm"};
static const char *const padding_names[] = {"same", "valid"};
static const char *const loss_names[] = {"softmax_cross_entropy", "binary_cross_entropy", "mean_squared_error"};
#define COUNT(names) (sizeof(names) / sizeof *(names))

const char *fed_activation_name(enum fed_activation activation) {
    assert((size_t)activation < COUNT(activation_names));
    return activation_names[activation];
}

const char *fed_layer_kind_name(enum fed_layer_kind kind) {
    assert((size_t)kind < COUNT(kind_names));
    return kind_names[kind];
}

const char *fed_padding_name(enum fed_padding padding) {
    assert((size_t)padding < COUNT(padding_names));
    return padding_names[padding];
}

const char *fed_loss_name(enum fed_loss loss) {
    assert((size_t)loss < COUNT(loss_names));
    return loss_names[loss];
}
