#include "cli/export/onnx_file.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "cli/export/onnx.pb-c.h"
#include "common/base/file.h"

#define IR_VERSION 6 /* that goes with these operators */
#define OPERATORS 11
#define FILE_MODE 0644

#define NODES 512
#define WEIGHTS 256
#define PROPERTIES 16
#define ATTRIBUTES 8 /* of a node */
#define INPUTS 8

struct block {
    struct block *next;
    max_align_t bytes[];
};

struct node {
    Onnx__NodeProto node;
    Onnx__AttributeProto attributes[ATTRIBUTES], *attribute_list[ATTRIBUTES];
    char *inputs[INPUTS], *output;
};

struct value {
    Onnx__ValueInfoProto info;
    Onnx__TypeProto type;
    Onnx__TypeProto__Tensor tensor;
    Onnx__TensorShapeProto shape;
    Onnx__TensorShapeProto__Dimension dims[FED_ONNX_RANK + 1], *dim_list[FED_ONNX_RANK + 1];
};

struct fed_onnx {
    Onnx__ModelProto model;
    Onnx__GraphProto graph;
    Onnx__OperatorSetIdProto operators, *operator_list[1];
    Onnx__NodeProto *nodes[NODES];
    Onnx__TensorProto *weights[WEIGHTS];
    Onnx__ValueInfoProto *input, *output;
    Onnx__StringStringEntryProto *properties[PROPERTIES];
    struct node *last;    /* node */
    struct block *blocks; /* owned: every piece */
    bool failed;          /* no memory */
};

/* -- memory ------------------------------------------------------------------------------------------------------------ */

/* Zeros; NULL without memory, which is remembered. */
static void *take(struct fed_onnx *onnx, size_t n) {
    struct block *block = n <= SIZE_MAX - sizeof *block ? calloc(1, sizeof *block + n) : NULL;
    if (block == NULL) {
        onnx->failed = true;
        return NULL;
    }
    block->next = onnx->blocks;
    onnx->blocks = block;
    return block->bytes;
}

static char *copy(struct fed_onnx *onnx, const char *text) {
    char *out = take(onnx, strlen(text) + 1);
    return out != NULL ? strcpy(out, text) : NULL;
}

int fed_onnx_new(struct fed_onnx **out, const char *name, const char *doc) {
    struct fed_onnx *onnx = calloc(1, sizeof *onnx);
    if (onnx == NULL) {
        return FED_ENOMEM;
    }
    onnx__model_proto__init(&onnx->model);
    onnx__graph_proto__init(&onnx->graph);
    onnx__operator_set_id_proto__init(&onnx->operators);
    onnx->operators.has_version = true;
    onnx->operators.version = OPERATORS;
    onnx->operators.domain = copy(onnx, "");
    onnx->operator_list[0] = &onnx->operators;
    onnx->model.has_ir_version = true;
    onnx->model.ir_version = IR_VERSION;
    onnx->model.producer_name = copy(onnx, "fedavg");
    onnx->model.producer_version = copy(onnx, FED_VERSION);
    onnx->model.doc_string = copy(onnx, doc);
    onnx->model.n_opset_import = 1;
    onnx->model.opset_import = onnx->operator_list;
    onnx->model.graph = &onnx->graph;
    onnx->model.metadata_props = onnx->properties;
    onnx->graph.name = copy(onnx, name);
    onnx->graph.node = onnx->nodes;
    onnx->graph.initializer = onnx->weights;
    onnx->graph.input = &onnx->input;
    onnx->graph.output = &onnx->output;
    *out = onnx;
    return FED_OK;
}

void fed_onnx_free(struct fed_onnx *onnx) {
    while (onnx != NULL && onnx->blocks != NULL) {
        struct block *next = onnx->blocks->next;
        free(onnx->blocks);
        onnx->blocks = next;
    }
    free(onnx);
}

/* -- pieces ------------------------------------------------------------------------------------------------------------ */

void fed_onnx_metadata(struct fed_onnx *onnx, const char *key, const char *value) {
    Onnx__StringStringEntryProto *entry = take(onnx, sizeof *entry);
    assert(onnx->model.n_metadata_props < PROPERTIES);
    if (entry != NULL) {
        onnx__string_string_entry_proto__init(entry);
        entry->key = copy(onnx, key);
        entry->value = copy(onnx, value);
        onnx->properties[onnx->model.n_metadata_props++] = entry;
    }
}

/* NULL without memory. */
static Onnx__ValueInfoProto *make_value(struct fed_onnx *onnx, const char *name, enum fed_onnx_type type,
                                        const uint64_t *dims, size_t n) {
    struct value *value = take(onnx, sizeof *value);
    assert(n <= FED_ONNX_RANK);
    if (value == NULL) {
        return NULL;
    }
    onnx__value_info_proto__init(&value->info);
    onnx__type_proto__init(&value->type);
    onnx__type_proto__tensor__init(&value->tensor);
    onnx__tensor_shape_proto__init(&value->shape);
    for (size_t i = 0; i <= n; i++) {
        onnx__tensor_shape_proto__dimension__init(&value->dims[i]);
        value->dim_list[i] = &value->dims[i];
        if (i == 0) {
            value->dims[i].value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM;
            value->dims[i].dim_param = copy(onnx, FED_ONNX_BATCH);
        } else {
            value->dims[i].value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
            value->dims[i].dim_value = (int64_t)dims[i - 1];
        }
    }
    value->shape.n_dim = n + 1;
    value->shape.dim = value->dim_list;
    value->tensor.has_elem_type = true;
    value->tensor.elem_type =
        type == FED_ONNX_INT64 ? ONNX__TENSOR_PROTO__DATA_TYPE__INT64 : ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT;
    value->tensor.shape = &value->shape;
    value->type.value_case = ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE;
    value->type.tensor_type = &value->tensor;
    value->info.name = copy(onnx, name);
    value->info.type = &value->type;
    return &value->info;
}

void fed_onnx_input(struct fed_onnx *onnx, const char *name, enum fed_onnx_type type, const uint64_t *dims, size_t n) {
    assert(onnx->graph.n_input == 0);
    onnx->input = make_value(onnx, name, type, dims, n);
    onnx->graph.n_input = onnx->input != NULL;
}

void fed_onnx_output(struct fed_onnx *onnx, const char *name, const uint64_t *dims, size_t n) {
    assert(onnx->graph.n_output == 0);
    onnx->output = make_value(onnx, name, FED_ONNX_FLOAT, dims, n);
    onnx->graph.n_output = onnx->output != NULL;
}

/* Little-endian, as everything of ours is. */
static void add_weights(struct fed_onnx *onnx, const char *name, const float *values, const uint64_t *dims, size_t n) {
    Onnx__TensorProto *tensor = take(onnx, sizeof *tensor);
    int64_t *extents = take(onnx, n * sizeof *extents);
    size_t count = 1;
    assert(onnx->graph.n_initializer < WEIGHTS);
    if (tensor == NULL || extents == NULL) {
        return;
    }
    for (size_t i = 0; i < n; i++) {
        extents[i] = (int64_t)dims[i];
        count *= (size_t)dims[i];
    }
    onnx__tensor_proto__init(tensor);
    tensor->name = copy(onnx, name);
    tensor->n_dims = n;
    tensor->dims = extents;
    tensor->has_data_type = true;
    tensor->data_type = ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT;
    tensor->has_raw_data = true;
    tensor->raw_data =
        (ProtobufCBinaryData){.len = count * sizeof *values, .data = (uint8_t *)(uintptr_t)(const void *)values};
    onnx->weights[onnx->graph.n_initializer++] = tensor;
}

void fed_onnx_weights(struct fed_onnx *onnx, const char *name, const float *values, const uint64_t *dims, size_t n) {
    add_weights(onnx, name, values, dims, n);
}

float *fed_onnx_new_weights(struct fed_onnx *onnx, const char *name, const uint64_t *dims, size_t n) {
    size_t count = 1;
    for (size_t i = 0; i < n; i++) {
        count *= (size_t)dims[i];
    }
    float *values = take(onnx, count * sizeof *values);
    if (values != NULL) {
        add_weights(onnx, name, values, dims, n);
    }
    return values;
}

/* -- nodes ------------------------------------------------------------------------------------------------------------- */

void fed_onnx_node(struct fed_onnx *onnx, const char *operator, const char * const * inputs, const char *output) {
    struct node *node = take(onnx, sizeof *node);
    assert(onnx->graph.n_node < NODES);
    onnx->last = node;
    if (node == NULL) {
        return;
    }
    onnx__node_proto__init(&node->node);
    for (size_t i = 0; inputs[i] != NULL; i++) {
        assert(i < INPUTS);
        node->inputs[node->node.n_input++] = copy(onnx, inputs[i]);
    }
    node->output = copy(onnx, output);
    node->node.input = node->inputs;
    node->node.n_output = 1;
    node->node.output = &node->output;
    node->node.name = copy(onnx, output);
    node->node.op_type = copy(onnx, operator);
    node->node.attribute = node->attribute_list;
    onnx->nodes[onnx->graph.n_node++] = &node->node;
}

static Onnx__AttributeProto *add_attribute(struct fed_onnx *onnx, const char *key,
                                           Onnx__AttributeProto__AttributeType type) {
    struct node *node = onnx->last;
    if (node == NULL) {
        return NULL;
    }
    assert(node->node.n_attribute < ATTRIBUTES);
    Onnx__AttributeProto *attribute = &node->attributes[node->node.n_attribute];
    onnx__attribute_proto__init(attribute);
    attribute->name = copy(onnx, key);
    attribute->has_type = true;
    attribute->type = type;
    node->attribute_list[node->node.n_attribute++] = attribute;
    return attribute;
}

void fed_onnx_set(struct fed_onnx *onnx, const char *key, int64_t value) {
    Onnx__AttributeProto *attribute = add_attribute(onnx, key, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT);
    if (attribute != NULL) {
        attribute->has_i = true;
        attribute->i = value;
    }
}

void fed_onnx_set_list(struct fed_onnx *onnx, const char *key, const int64_t *values, size_t n) {
    Onnx__AttributeProto *attribute = add_attribute(onnx, key, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS);
    int64_t *copied = take(onnx, n * sizeof *copied);
    if (attribute != NULL && copied != NULL) {
        memcpy(copied, values, n * sizeof *copied);
        attribute->n_ints = n;
        attribute->ints = copied;
    }
}

/* -- the file ---------------------------------------------------------------------------------------------------------- */

int fed_onnx_write(const struct fed_onnx *onnx, const char *path, struct fed_error *err) {
    size_t n_weights = 0;
    if (onnx->failed) {
        return fed_error_set(err, FED_ENOMEM, "%s: not enough memory for an ONNX model", path);
    }
    assert(onnx->graph.n_input == 1 && onnx->graph.n_output == 1);
    for (size_t i = 0; i < onnx->graph.n_initializer; i++) {
        n_weights += onnx->weights[i]->raw_data.len;
    }
    size_t n = n_weights <= INT32_MAX ? protobuf_c_message_get_packed_size(&onnx->model.base) : SIZE_MAX;
    if (n > INT32_MAX) {
        return fed_error_set(err, FED_EFAILED,
                             "%s: an ONNX file holds at most 2 GiB, this model has %zu MiB; export it as .npz", path,
                             n_weights >> 20);
    }
    uint8_t *bytes = malloc(n);
    if (bytes == NULL) {
        return fed_error_set(err, FED_ENOMEM, "%s: not enough memory for %zu bytes", path, n);
    }
    protobuf_c_message_pack(&onnx->model.base, bytes);
    int code = fed_file_replace(path, &(struct iovec){.iov_base = bytes, .iov_len = n}, 1, FILE_MODE, err);
    free(bytes);
    return code;
}
