import Glibc

/// As on a full disk: while the body runs, no file of this program grows beyond so many bytes. More than others write
/// meanwhile, so that it hits nobody else.
@discardableResult
func withFilesOfAtMost<Value>(_ bytes: Int, _ body: () async throws -> Value) async throws -> Value {
  let resource = __rlimit_resource_t(RLIMIT_FSIZE.rawValue)
  let handler = signal(SIGXFSZ, SIG_IGN)
  defer { signal(SIGXFSZ, handler) }
  var old = rlimit()
  getrlimit(resource, &old)
  var full = rlimit(rlim_cur: rlim_t(bytes), rlim_max: old.rlim_max)
  guard setrlimit(resource, &full) == 0 else { throw CancellationError() }
  defer { setrlimit(resource, &old) }
  return try await body()
}
