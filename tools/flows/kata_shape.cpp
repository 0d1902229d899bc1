#include "formats/base/error.hpp"
#include "tools/flows/convert_run.hpp"
#include "tools/flows/sbom.hpp"

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

    void open_source() override { run_.open_machine(); }
    void edit() override {
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
    KataOptions options_;
    PreparedKata prepared_;
};

} // namespace

std::unique_ptr<ConvertShape> make_kata_shape(ConvertRun& run, const KataRequest& request) {
    return std::make_unique<KataShape>(run, request);
}

} // namespace vm2oci
