#include "formats/base/outputs.hpp"
#include "tools/flows/open_source.hpp"

#include <functional>
#include <utility>

namespace vm2oci {
namespace {

// Publishes only if nothing speaks against it.
class GuardedDestination final : public ImageDestination {
  public:
    GuardedDestination(std::unique_ptr<ImageDestination> destination, std::function<void()> guard)
        : destination_(std::move(destination)), guard_(std::move(guard)) {}

    DestinationTraits traits() const override { return destination_->traits(); }
    bool has_blob(const Descriptor& blob) override { return destination_->has_blob(blob); }
    std::unique_ptr<BlobWriter> begin_blob(const std::optional<Descriptor>& expected) override {
        return destination_->begin_blob(expected);
    }
    bool put_stored_blob(const Descriptor& blob, const BlockDevice& content,
                         const OperationContext& operation) override {
        return destination_->put_stored_blob(blob, content, operation);
    }
    Descriptor put_manifest(const std::string& bytes, const std::string& media_type) override {
        return destination_->put_manifest(bytes, media_type);
    }
    std::shared_ptr<const BlockDevice> open_written(const Descriptor& blob) override {
        return destination_->open_written(blob);
    }
    void publish(const Descriptor& top) override {
        guard_();
        destination_->publish(top);
    }

  private:
    std::unique_ptr<ImageDestination> destination_;
    std::function<void()> guard_;
};

} // namespace

std::unique_ptr<ImageDestination> publish_verified(std::unique_ptr<ImageDestination> destination,
                                                   const SourceMachine& source, Outputs& outputs,
                                                   const OperationContext& operation) {
    return std::make_unique<GuardedDestination>(std::move(destination), [&source, &outputs, &operation] {
        source.verify(operation);
        outputs.commit();
    });
}

} // namespace vm2oci
