import AvaloSystem
import Glibc

/// The word that a folder is one avalod's alone: an exclusive lock on a file in it, which ends with the process, however
/// that ends. The file itself stays: removing it would let two lock different files of one name.
struct FolderLock: Sendable {
  private let descriptor: Int32

  /// - `name`: the file's, within `folder`.
  /// - `setting`: what to set to another folder when this one is taken.
  init(_ folder: String, name: String, setting: String) throws(FolderError) {
    let path = "\(folder)/\(name)"
    descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
    guard descriptor >= 0 else { throw .failed(SystemError(path)) }
    guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
      let error = errno
      let holder = ProcessFile.read(path).flatMap { Int32($0.filter(\.isNumber)) }
      close(descriptor)
      throw error == EWOULDBLOCK
        ? .inUse(path: folder, pid: holder, setting: setting) : .failed(SystemError(path, error))
    }
    let text = "\(getpid())\n"
    guard ftruncate(descriptor, 0) == 0,
      text.utf8CString.withUnsafeBytes({ write(descriptor, $0.baseAddress, $0.count - 1) }) > 0
    else {
      let error = SystemError(path)
      close(descriptor)
      throw .failed(error)
    }
  }

  func release() { close(descriptor) }
}

/// A folder that could not be had.
enum FolderError: Error, Equatable, Sendable, CustomStringConvertible {
  case inUse(path: String, pid: Int32?, setting: String)
  case failed(SystemError)

  var description: String {
    switch self {
    case .inUse(let path, let pid, let setting):
      "another avalod\(pid.map { " (pid \($0))" } ?? "") runs on \(path); stop it, or set another \(setting)"
    case .failed(let error): "\(error)"
    }
  }
}
