import org.flywaydb.core.Flyway;

/** Runs all migrations of a directory: java Migrate URL USER PASSWORD DIRECTORY. */
public class Migrate {
    public static void main(String[] arguments) {
        Flyway.configure()
            .dataSource(arguments[0], arguments[1], arguments[2])
            .locations("filesystem:" + arguments[3])
            .load()
            .migrate();
    }
}
