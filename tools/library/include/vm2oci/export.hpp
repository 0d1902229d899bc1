// What the library shows, and in which namespace.
//
// Everything public lies in vm2oci::v0, whose number is that of the library's soname; `vm2oci::convert` names it, too.
#pragma once

#if defined(__GNUC__)
#define VM2OCI_API __attribute__((visibility("default")))
#else
#define VM2OCI_API
#endif

namespace vm2oci {
namespace v0 {}
#ifndef VM2OCI_BUILDING // inside of the library the short names are its own
using namespace v0;
#endif
} // namespace vm2oci
