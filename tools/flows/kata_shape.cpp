#include "formats/base/error.hpp"
#include "formats/oci/select.hpp"
#include "tools/flows/container_source.hpp"
#include "tools/flows/convert_run.hpp"
#include "tools/flows/sbom.hpp"

#include <optional>

namespace vm2oci {
namespace {

class KataShape final : public ConvertShape {
  public:
    KataShape(ConvertRun& run, const KataRequest& request) : run_(run) {
        options_.agent = request.agent;
        options_.root = request.root;
        options_.proof = request.proof;
        options_.size = run.request.disk.virtual_size;
        options_.edits = run.request.edits;
        options_.mode = run.request.mode;
        options_.time = run.request.image.created;
    }

    void open_source() override {
        const ConvertRequest& request = run_.request;
        container_ = run_.engine.open_container(request.source, request.from, request.architecture, run_.operation);
        if (!container_)
            return run_.open_machine();
        require_architecture(container_->image.config->platform.architecture, request.architecture);
        refuse_words_of_disks(request.from, request.access);
        if (!request.edits.empty())
            fail(ErrorKind::usage, "a container image becomes a guest image as it is, with Kata's agent; other changes "
                                   "belong into the image");
        run_.machine.verifier = container_->image.verifier;
    }
    void edit() override {
        if (container_) {
            prepared_ = container_->prepare(options_, run_.operation);
            return;
        }
        options_.access = run_.access();
        prepared_ = prepare_kata(run_.disks().device(), options_, run_.operation);
        run_.result.edits = prepared_.edits;
    }
    void list_packages() override {
        if (run_.sbom != nullptr)
            run_.sbom->content = make_sbom(prepared_.guest, run_.request.sbom);
    }
    void write() override {
        run_.result.made = write_kata(prepared_, options_, std::get<DiskReference>(run_.request.destination).path,
                                      run_.outputs, run_.operation);
    }
    BootSubject written() override { fail(ErrorKind::usage, "Kata's files are started by Kata alone"); }

  private:
    ConvertRun& run_;
    std::optional<ContainerSource> container_; // none: the source is a machine
    KataOptions options_;
    PreparedKata prepared_;
};

} // namespace

std::unique_ptr<ConvertShape> make_kata_shape(ConvertRun& run, const KataRequest& request) {
    return std::make_unique<KataShape>(run, request);
}

} // namespace vm2oci
