// What a container image says is to be started, as vm2oci's init takes it.
#pragma once

#include "formats/container/program.hpp"
#include "formats/oci/image.hpp"
#include "libconvert/container/container_files.hpp"

#include <string>
#include <vector>

namespace vm2oci {

// What a user wants instead of, or besides, what the image says.
struct ProgramWishes {
    std::vector<std::string> command;     // instead of the image's arguments; empty: those
    std::vector<std::string> environment; // wins over the image's; "NAME=value"
    std::string hostname;                 // empty: ContainerProgram's
};

// As runtimes do it: PATH, HOME and HOSTNAME are set where the image does not set them. Error{unsupported}: nothing to
// start, a user that is not there, a signal that there is not.
ContainerProgram program_of_image(const ImageConfig& config, const ContainerFiles& files, const ProgramWishes& wishes);

// A program that an image was made into already, with other wishes.
void apply_wishes(ContainerProgram& program, const ProgramWishes& wishes);

} // namespace vm2oci
