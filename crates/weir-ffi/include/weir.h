// The C interface of weir's in-process library. Generated from crates/weir-ffi/src/abi.rs; docs/in-process.md describes
// its use. `WEIR_UPDATE_DOCS=1 cargo test -p weir-ffi --test header` writes it.

#ifndef WEIR_H
#define WEIR_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

// Version of this interface. It changes when a structure or the meaning of a function does.
#define WEIR_ABI_VERSION 1

// The body in the message is complete.
#define WEIR_BODY_COMPLETE 0

// The message has the first bytes of the body.
#define WEIR_BODY_PREFIX 1

// The gateway did not read the body.
#define WEIR_BODY_UNREAD 2

// No application id.
#define WEIR_NO_APPLICATION -1

// Result of a function. With anything but `WEIR_STATUS_OK`, the buffer for the error has a text.
typedef enum WeirStatus {
  // Done.
  WEIR_STATUS_OK = 0,
  // A pointer is null that must not be.
  WEIR_STATUS_NULL_POINTER = 1,
  // The size of a structure is not that of this version: compile against the header of this library.
  WEIR_STATUS_BAD_SIZE = 2,
  // A value is not valid: mistakes in rules or policy, an address that is not valid, text that is not UTF-8.
  WEIR_STATUS_INVALID = 3,
  // The message is larger than what is accepted. It was not inspected.
  WEIR_STATUS_TOO_LARGE = 4,
  // A defect of the library. Nothing was decided.
  WEIR_STATUS_PANIC = 5,
} WeirStatus;

// Rules and policy. Any number of threads may use it at the same time.
typedef struct WeirHandle WeirHandle;

// Bytes of the caller or of the library; not terminated.
typedef struct WeirBytes {
  // The first byte; may be null if `length` is 0.
  const uint8_t *data;
  // Number of bytes.
  size_t length;
} WeirBytes;

// What to inspect and decide by. Set `size`, and zero for what is not needed. The library copies what it keeps.
typedef struct WeirConfig {
  // `sizeof(WeirConfig)`.
  uint32_t size;
  // 1 leaves out the rules that ship with the library.
  uint32_t no_builtin_rules;
  // 1 never blocks: the verdict says what would be blocked.
  uint32_t monitoring_only;
  // Bytes of a body that are inspected; 0 for the default (65536), at most 1048576.
  uint32_t max_body;
  // Time for an inspection in microseconds; 0 for the default (20000), at most 1000000.
  uint32_t time_limit_us;
  // Text of a rule file (YAML).
  struct WeirBytes rules;
  // Text of the policy (YAML).
  struct WeirBytes policy;
  // Networks of trusted proxies, separated by commas.
  struct WeirBytes trusted;
  // Headers with which they report the client's address, separated by commas.
  struct WeirBytes real_ip;
  // Headers with which they report the host that the client asked for, separated by commas.
  struct WeirBytes original_host;
} WeirConfig;

// A request. Set `size`, and zero for what is not known.
typedef struct WeirRequest {
  // `sizeof(WeirRequest)`.
  uint32_t size;
  // One of `WEIR_BODY_*`.
  uint32_t body;
  // 1 if the body is in the chunked coding still.
  uint32_t chunked;
  // 1 if the client used TLS.
  uint32_t https;
  // Time until the verdict is needed in microseconds; 0 for that of the configuration.
  uint32_t time_limit_us;
  // Application id, or `WEIR_NO_APPLICATION`.
  int64_t application;
  // Head and body as in HTTP/1.1.
  struct WeirBytes message;
  // Address of the gateway's peer, such as `203.0.113.7`.
  struct WeirBytes client;
  // Id of the request, for the reply and the record.
  struct WeirBytes request_id;
} WeirRequest;

// A verdict. Everything in it stays valid until it is freed.
typedef struct WeirVerdict {
  // `sizeof(WeirVerdict)` of the library.
  uint32_t size;
  // 1: answer the client with `status`, `content_type`, `headers` and `body`. 0: forward the request.
  uint32_t block;
  // 1: it passes only because of its mode, or because of `monitoring_only`.
  uint32_t would_block;
  // Status of the reply; 0 if the request passes.
  uint32_t status;
  // Number of the rules and policy that decided.
  uint64_t generation;
  // Bytes of the body beyond `max_body`.
  uint64_t bytes_left;
  // Media type of the reply.
  struct WeirBytes content_type;
  // Other headers of the reply, each as `name: value` and a line feed.
  struct WeirBytes headers;
  // Body of the reply.
  struct WeirBytes body;
  // Why parts were not inspected: codes such as `not_sent`, separated by commas; empty if everything was.
  struct WeirBytes not_inspected;
  // Record of a malicious request as JSON, secrets masked, in the form in which nodes send it, without an id; empty for
  // any other request.
  struct WeirBytes hit;
} WeirVerdict;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// Version of this interface, to be compared with `WEIR_ABI_VERSION` before anything else is called.
uint32_t weir_abi_version(void);

// Compiles rules and policy, and writes a handle to `handle`. Takes some hundred milliseconds.
//
// `error` may be null; else up to `error_size` bytes are written to it, the terminating zero included.
//
// # Safety
// `config` must be null or point to a `WeirConfig` whose pointers are valid for their lengths, `handle` must be null or
// writable, and `error` must be null or writable for `error_size` bytes.
enum WeirStatus weir_new(const struct WeirConfig *config,
                         struct WeirHandle **handle,
                         char *error,
                         size_t error_size);

// Compiles rules and policy anew and swaps them while other threads inspect. After an error the old ones stay in use.
//
// # Safety
// `handle` must be null or come from `weir_new` and not be freed; for the others see `weir_new`.
enum WeirStatus weir_reload(const struct WeirHandle *handle,
                            const struct WeirConfig *config,
                            char *error,
                            size_t error_size);

// Number of the rules and policy in use: 1 after `weir_new`, one more with each reload; 0 without a handle.
//
// # Safety
// `handle` must be null or come from `weir_new` and not be freed.
uint64_t weir_generation(const struct WeirHandle *handle);

// Inspects a request and writes the verdict to `verdict`, to be freed with `weir_verdict_free`. The calling thread does
// the work. With anything but `WEIR_STATUS_OK` there is no verdict, and the caller's failure policy applies.
//
// # Safety
// `handle` must be null or come from `weir_new` and not be freed, `request` must be null or point to a `WeirRequest` whose
// pointers are valid for their lengths, `verdict` must be null or writable; for `error` see `weir_new`.
enum WeirStatus weir_inspect(const struct WeirHandle *handle,
                             const struct WeirRequest *request,
                             struct WeirVerdict **verdict,
                             char *error,
                             size_t error_size);

// Frees a verdict; null is ignored.
//
// # Safety
// `verdict` must be null or come from `weir_inspect`, and must not be used afterwards.
void weir_verdict_free(struct WeirVerdict *verdict);

// Frees a handle; null is ignored. Verdicts stay valid.
//
// # Safety
// `handle` must be null or come from `weir_new`, and no thread may use it any more.
void weir_free(struct WeirHandle *handle);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* WEIR_H */
