import Glibc

// What tools add to the configuration: files in `conf.d`, which go over avalo.yaml.
extension KeyFolder {
  public func dropInPath(_ name: String) -> String { "\(directory)/conf.d/\(name).yaml" }

  /// `nil` when there is none.
  public func dropIn(_ name: String) throws(KeyFolderError) -> String? {
    let path = dropInPath(name)
    return PrivateFile.exists(path) ? try PrivateFile.read(path) : nil
  }

  /// Puts it there whole or not at all; `nil` takes it away. Who may read the configuration's folder may read it.
  public func setDropIn(_ name: String, to text: String?) throws(KeyFolderError) {
    let path = dropInPath(name)
    guard let text else {
      guard unlink(path) == 0 || errno == ENOENT else { throw PrivateFile.failure("remove", path) }
      return
    }
    var folder = stat()
    guard stat(directory, &folder) == 0 else { throw PrivateFile.failure("look at", directory) }
    let dropIns = directory + "/conf.d"
    if mkdir(dropIns, folder.st_mode & 0o777) == 0 {
      // Only root may give it away; without, it is of who may write here anyway.
      _ = chown(dropIns, folder.st_uid, folder.st_gid)
      _ = chmod(dropIns, folder.st_mode & 0o777)
    } else if errno != EEXIST {
      throw PrivateFile.failure("make the folder", dropIns)
    }
    try PrivateFile.write(text, to: path, like: folder)
  }
}
