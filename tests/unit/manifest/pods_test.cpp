#include "formats/base/error.hpp"
#include "formats/base/size.hpp"
#include "libconvert/edit/yaml.hpp"
#include "libconvert/manifest/targets.hpp"

#include <catch2/catch.hpp>

using namespace vm2oci;

namespace {

RunnableMachine of_form(RunnableForm form) {
    RunnableMachine machine;
    machine.name = "app";
    machine.architecture = "amd64";
    machine.form = form;
    machine.memory = 512 * MiB;
    machine.image = "registry.example/app@sha256:bb";
    if (form != RunnableForm::rootfs) {
        RunnableDisk disk;
        disk.image = "registry.example/app@sha256:bb";
        machine.disks = {disk};
    }
    return machine;
}

std::string write(std::string_view target, const RunnableMachine& machine) {
    return find_manifest_target(target).write(machine);
}

bool holds(const std::string& text, std::string_view part) {
    return text.find(part) != std::string::npos;
}

} // namespace

TEST_CASE("Kata runs container images, and says what a cluster needs for it") {
    const std::string text = write("kata", of_form(RunnableForm::rootfs));
    const std::size_t parted = text.find("---\n");
    REQUIRE(parted != std::string::npos);
    CHECK(parse_yaml(text.substr(0, parted)).get("handler")->text() == "kata");
    const YamlValue pod = parse_yaml(text.substr(parted + 4));
    CHECK(pod.get("spec")->get("runtimeClassName")->text() == "kata");
    // What the image starts is its own; only one that says nothing is told.
    CHECK_FALSE(pod.get("spec")->get("containers")->items().at(0).get("command").has_value());
    RunnableMachine silent = of_form(RunnableForm::rootfs);
    silent.names_program = false;
    CHECK(holds(write("kata", silent), "/sbin/init"));
    CHECK(holds(text, "podFixed"));
    CHECK(pod.get("spec")->get("containers")->items().at(0).get("image")->text() == "registry.example/app@sha256:bb");
    CHECK_THROWS_AS(write("kata", of_form(RunnableForm::container_disk)), Error);
    CHECK_THROWS_AS(write("kata", of_form(RunnableForm::bundle)), Error);
}

TEST_CASE("podman runs each form by the runtime that can") {
    CHECK(holds(write("podman-kube", of_form(RunnableForm::container_disk)), "podman --runtime crun-vm kube play"));
    CHECK(holds(write("podman-kube", of_form(RunnableForm::bundle)), "run.oci.handler: krun"));
    const std::string plain = write("podman-kube", of_form(RunnableForm::rootfs));
    CHECK_FALSE(holds(plain, "runtime"));
    CHECK_FALSE(holds(plain, "/sbin/init"));
    RunnableMachine silent = of_form(RunnableForm::rootfs);
    silent.names_program = false;
    CHECK(parse_yaml(write("podman-kube", silent))
              .get("spec")
              ->get("containers")
              ->items()
              .at(0)
              .get("command")
              ->items()
              .at(0)
              .text() == "/sbin/init");
    CHECK(holds(write("quadlet", of_form(RunnableForm::container_disk)),
                "PodmanArgs=--runtime crun-vm --cpus 2 --memory 512m\n"));
    CHECK(holds(write("quadlet", of_form(RunnableForm::bundle)), "Annotation=run.oci.handler=krun\n"));
    CHECK(holds(write("quadlet", silent), "Exec=/sbin/init\n"));
    CHECK_FALSE(holds(write("quadlet", of_form(RunnableForm::rootfs)), "Exec="));
    CHECK_THROWS_AS(write("quadlet", of_form(RunnableForm::disk)), Error);
}

TEST_CASE("a target that nobody knows is refused with those that are known") {
    CHECK_THROWS_WITH(find_manifest_target("virtlet2"), Catch::Contains("kubevirt-datavolume"));
}
