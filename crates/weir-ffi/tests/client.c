/* Uses the interface as a gateway would: prints a line for each step, and ends with 0 if all went as it should. */
#include "weir.h"
#include <stdio.h>
#include <string.h>

static WeirBytes bytes(const char *text) {
    WeirBytes out = {(const uint8_t *)text, strlen(text)};
    return out;
}

static int inspect(const WeirHandle *handle, const char *message, uint32_t block) {
    char error[256];
    WeirVerdict *verdict = NULL;
    WeirRequest request;
    memset(&request, 0, sizeof request);
    request.size = sizeof request;
    request.application = WEIR_NO_APPLICATION;
    request.message = bytes(message);
    request.client = bytes("203.0.113.7");
    request.request_id = bytes("r-1");
    if (weir_inspect(handle, &request, &verdict, error, sizeof error) != WEIR_STATUS_OK) {
        printf("error: %s\n", error);
        return 1;
    }
    int wrong = verdict->size != sizeof *verdict || verdict->block != block;
    printf("%u %u %.*s\n", verdict->block, verdict->status, (int)verdict->body.length, (const char *)verdict->body.data);
    weir_verdict_free(verdict);
    return wrong;
}

int main(void) {
    char error[256];
    WeirHandle *handle = NULL;
    WeirConfig config;
    int wrong = weir_abi_version() != WEIR_ABI_VERSION;
    memset(&config, 0, sizeof config);
    if (weir_new(&config, &handle, error, sizeof error) != WEIR_STATUS_BAD_SIZE) {
        return 2;
    }
    printf("%s\n", error);
    config.size = sizeof config;
    config.policy = bytes("mode: block");
    if (weir_new(&config, &handle, error, sizeof error) != WEIR_STATUS_OK) {
        printf("error: %s\n", error);
        return 2;
    }
    wrong |= inspect(handle, "GET /?f=/etc/passwd HTTP/1.1\r\nHost: a\r\n\r\n", 1);
    wrong |= inspect(handle, "GET /?f=report HTTP/1.1\r\nHost: a\r\n\r\n", 0);
    weir_free(handle);
    return wrong;
}
