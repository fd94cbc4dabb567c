#!/usr/bin/env bash
# debian-jmeter.sh DIR: makes Debian's JMeter 2.13 start. It asks XStream 1.4.20 for classes that
# XStream's later default refuses (ForbiddenClassException). This compiles a permission that refuses
# nothing into DIR and prints the variable that puts it before XStream's own:
#
#   apt-get install jmeter jmeter-http default-jdk-headless
#   export "$(tests/tools/debian-jmeter.sh /tmp/jmeter)"
#
# Only for plans that you trust, such as those of these tests.
set -euo pipefail
classes=$1
package=$classes/com/thoughtworks/xstream/security
mkdir -p "$package"
cat >"$package/TypePermission.java" <<'JAVA'
package com.thoughtworks.xstream.security;

public interface TypePermission {
    boolean allows(Class type);
}
JAVA
cat >"$package/NoTypePermission.java" <<'JAVA'
package com.thoughtworks.xstream.security;

public class NoTypePermission implements TypePermission {
    public static final TypePermission NONE = new NoTypePermission();

    public boolean allows(Class type) {
        return true;
    }

    public int hashCode() {
        return 1;
    }

    public boolean equals(Object other) {
        return other != null && other.getClass() == NoTypePermission.class;
    }
}
JAVA
javac -d "$classes" "$package"/*.java
echo "JAVA_ARGS=-Xbootclasspath/a:$classes"
