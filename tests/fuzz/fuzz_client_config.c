/* A client's file that loads says which clients, whose coordinator and which data, within their bounds; what is refused is
 * refused in one line, as a mistake of the file. */
#include "common/config/client_config.h"
#include "common/config/endpoint.h"
#include "tests/fuzz/fuzz_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n) {
    static struct fed_client_config config;
    struct fed_error err = {.text = ""};
    int rc = fed_client_config_load(&config, fuzz_file(bytes, n), NULL, 0, &err);
    MUST(rc == FED_OK || (rc == FED_ECONFIG && err.text[0] != '\0'));
    must_be_one_line(err.text);
    if (rc == FED_OK) {
        MUST(fed_endpoint_connect_valid(config.coordinator) && config.key != NULL);
        MUST(config.name[0] == '\0' || fed_name_valid(config.name));
        MUST(config.n_clients >= 1 && config.workers >= 1);
        MUST(config.partition.kind != FED_PARTITION_NONE || config.n_clients == 1);
        MUST(fed_data_source_has_train(&config.data));
        fed_client_config_fini(&config);
    }
    return 0;
}
