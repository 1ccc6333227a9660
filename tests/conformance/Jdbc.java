import java.io.StringReader;
import java.io.StringWriter;
import java.sql.BatchUpdateException;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.Arrays;
import java.util.Properties;
import org.postgresql.PGConnection;

/** What a JDBC client does with pipelining, named statements, portals and copies; prints what it saw. */
public class Jdbc {
    public static void main(String[] args) throws Exception {
        Properties properties = new Properties();
        properties.setProperty("user", args[1]);
        properties.setProperty("password", System.getenv("JDBC_PASSWORD"));
        properties.setProperty("prepareThreshold", "2");
        properties.setProperty("defaultRowFetchSize", "7");
        try (Connection connection = DriverManager.getConnection(args[0], properties)) {
            try (Statement statement = connection.createStatement()) {
                statement.execute("create temporary table jdbc_t (id int primary key, v text)");
            }
            try (PreparedStatement insert = connection.prepareStatement("insert into jdbc_t values (?, ?)")) {
                for (int i = 0; i < 300; i++) {
                    insert.setInt(1, i);
                    insert.setString(2, "v" + i);
                    insert.addBatch();
                }
                System.out.println("batch " + Arrays.stream(insert.executeBatch()).sum());
                for (int i : new int[] {1000, 5, 1001}) {
                    insert.setInt(1, i);
                    insert.setString(2, "again");
                    insert.addBatch();
                }
                insert.executeBatch();
            } catch (BatchUpdateException error) {
                System.out.println("batch error " + error.getSQLState() + " " + Arrays.toString(error.getUpdateCounts()));
            }
            connection.setAutoCommit(false);
            try (PreparedStatement select = connection.prepareStatement("select id, v from jdbc_t where id < ? order by id")) {
                for (int round = 0; round < 4; round++) {
                    select.setInt(1, 40 + round);
                    int sum = 0;
                    try (ResultSet rows = select.executeQuery()) {
                        while (rows.next()) {
                            sum += rows.getInt(1);
                        }
                    }
                    System.out.println("fetched " + sum);
                }
            }
            try (Statement statement = connection.createStatement()) {
                statement.execute("select 1/0");
            } catch (SQLException error) {
                System.out.println("error " + error.getSQLState());
            }
            connection.rollback();
            PGConnection own = connection.unwrap(PGConnection.class);
            System.out.println("copied in " + own.getCopyAPI().copyIn("copy jdbc_t from stdin", new StringReader("5000\tcopied\n5001\t\\N\n")));
            StringWriter out = new StringWriter();
            System.out.println("copied out " + own.getCopyAPI().copyOut("copy (select * from jdbc_t where id >= 5000 order by 1) to stdout", out));
            System.out.print(out);
            connection.commit();
        }
    }
}
