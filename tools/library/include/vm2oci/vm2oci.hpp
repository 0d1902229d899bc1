// All of the library.
#pragma once

#include <vm2oci/boot.hpp>
#include <vm2oci/check.hpp>
#include <vm2oci/convert.hpp>
#include <vm2oci/copy.hpp>
#include <vm2oci/documents.hpp>
#include <vm2oci/inspect.hpp>
#include <vm2oci/version.hpp>
