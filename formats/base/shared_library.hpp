// Libraries that are loaded when they are first needed, because loading them alone costs time and reads files of
// theirs.
#pragma once

namespace vm2oci {

class SharedLibrary {
  public:
    // `file`: the name with its version ("libcurl.so.4"). Error{external} that names `package` when it is not
    // installed. Never unloaded: libraries register handlers that run at exit.
    SharedLibrary(const char* file, const char* package);

    // Error{external} if the library has no such function.
    template <class Function>
    void resolve(const char* name, Function& function) const {
        function = reinterpret_cast<Function>(find(name));
    }

  private:
    void* find(const char* name) const;

    const char* file_;
    void* handle_;
};

} // namespace vm2oci
